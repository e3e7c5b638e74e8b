import { render } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Head } from '../model.ts';
import { useMedia } from './clock.ts';
import { Connection, type Link } from './connection.ts';
import { Events } from './events.tsx';
import { Attentions, Header, Strip } from './header.tsx';
import { Hosts } from './hosts.tsx';
import { Leases } from './leases.tsx';
import { Lockspaces } from './lockspaces.tsx';
import { Login } from './login.tsx';
import { Store } from './store.ts';
import { savedTheme, setTheme, type Theme } from './theme.ts';

function App() {
  const [view, setView] = useState(0);
  const [link, setLink] = useState<Link>('connecting');
  const [session, setSession] = useState(0);
  const store = useStore(view, session, setLink);
  const [query, setQuery] = useState('');
  const [theme, setOwnTheme] = useState<Theme>(savedTheme);
  const isDark = useMedia('(prefers-color-scheme: dark)');
  const search = useRef<HTMLInputElement>(null);
  useSearchKey(search);
  useTitle(store.head);
  if (link === 'tokenWanted') return <Login onEntered={() => setSession(session + 1)} />;
  const { head } = store;
  const onTheme = (chosen: Theme) => {
    setTheme(chosen);
    setOwnTheme(chosen);
  };
  const shownTheme = theme === 'auto' ? (isDark ? 'dark' : 'light') : theme;
  return (
    <>
      <a class="skip" href="#lockspaces">
        To the lockspaces
      </a>
      <Header
        store={store}
        link={link}
        query={query}
        onQuery={setQuery}
        search={search}
        theme={theme}
        onTheme={onTheme}
        onView={setView}
      />
      {head === null ? (
        <main>
          <p class="loading">Waiting for the first look at this host …</p>
        </main>
      ) : (
        <main data-looks={store.version}>
          <Strip head={head} />
          <Attentions head={head} />
          <Lockspaces store={store} theme={shownTheme} />
          <Hosts store={store} query={query.trim()} />
          <Events store={store} query={query.trim()} />
          <Leases store={store} query={query.trim()} />
        </main>
      )}
      <footer>
        holdfast {head?.version}, looks every {head?.everyS} s, the last one took{' '}
        {Math.round(head?.tookMs ?? 0)} ms.{' '}
        <a href={view === 0 ? '/metrics' : `/metrics?view=${view}`}>Metrics</a>
      </footer>
    </>
  );
}

/** What the server says of a view; shown again whenever it says more. */
function useStore(view: number, session: number, onLink: (link: Link) => void): Store {
  const [store, setStore] = useState(() => new Store());
  const [, setVersion] = useState(0);
  useEffect(() => {
    const own = new Store();
    setStore(own);
    const onLook = (look: Parameters<Store['apply']>[0]) => {
      own.apply(look);
      setVersion((version) => version + 1);
    };
    const connection = new Connection(view, onLook, onLink);
    return () => connection.close();
  }, [view, session]);
  return store;
}

/** In the browser's tab: whose page it is, and whether it needs somebody. */
function useTitle(head: Head | null): void {
  const count = head === null ? 0 : head.attention.length + (head.failure === null ? 0 : 1);
  const title = head === null ? 'holdfast' : `${head.host.name} – holdfast`;
  useEffect(() => {
    document.title = count === 0 ? title : `(${count}) ${title}`;
  }, [title, count]);
}

/** `/` leads to the search, unless something is being written. */
function useSearchKey(search: { readonly current: HTMLInputElement | null }): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target instanceof HTMLInputElement || document.querySelector('dialog[open]'))
        return;
      event.preventDefault();
      search.current?.focus();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, [search]);
}

setTheme(savedTheme());
const page = document.getElementById('page');
if (page !== null) {
  page.replaceChildren();
  render(<App />, page);
}
