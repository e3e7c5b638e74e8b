import { useState } from 'preact/hooks';
import { enter } from './connection.ts';

/** Asks for the token of the server; it is kept nowhere, the server gives a session for it. */
export function Login({ onEntered }: { readonly onEntered: () => void }) {
  const [wrong, setWrong] = useState<string | null>(null);
  const [isAsking, setIsAsking] = useState(false);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget;
    if (!(form instanceof HTMLFormElement) || isAsking) return;
    const token = String(new FormData(form).get('token') ?? '').trim();
    setIsAsking(true);
    const why = await enter(token);
    setIsAsking(false);
    setWrong(why);
    if (why === null) onEntered();
  };
  return (
    <main class="login">
      <form onSubmit={submit}>
        <h1>holdfast</h1>
        <label for="token">Token of this server</label>
        <input
          id="token"
          name="token"
          type="password"
          autoComplete="current-password"
          required
          aria-describedby="token-help"
        />
        <p id="token-help" class="soft">
          It is in the file that <code>--token-file</code> names.
        </p>
        <p role="alert" class="wrong">
          {wrong}
        </p>
        <button type="submit" disabled={isAsking}>
          Enter
        </button>
      </form>
    </main>
  );
}
