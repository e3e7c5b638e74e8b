import type { Completion } from './completion.ts';
import {
  DEADLINE_S,
  functionName,
  kindOf,
  listCases,
  MOST_LINES,
  namesOf,
  nodeCases,
  quoted,
  valueCases,
} from './completion-shell.ts';

/** A file of bash-completion; it needs nothing of it, and may be sourced as well. */
export function bashText(completion: Completion): string {
  const { program } = completion;
  const name = functionName(program);
  return `# bash completion of ${program}. Written by scripts/man-pages.ts.

# What may follow the words of commands.
_holdfast_node_${name}() {
  commands='' options='' kind=''
  case $1 in
${nodeCases(completion, ({ commands, options, operands }) =>
  [
    `      commands=${quoted(commands.map(([word]) => word).join(' '))}\n`,
    `      options=${quoted(namesOf(options).join(' '))}\n`,
    `      kind=${quoted(kindOf(operands))}\n`,
  ].join(''),
)}  esac
}

# Which kind the value of an option is; none, if it has no value.
_holdfast_value_${name}() {
  value=''
  case $1 in
${valueCases(completion)}  esac
}
${COMMON}
_holdfast_start_${name}() {
  _holdfast_complete ${name}
}

complete -F _holdfast_start_${name} ${program}
`;
}

/** The same in the file of every program: which one is read first does not matter. */
const COMMON = `
# Names, from a program that gets ${DEADLINE_S} s. They come from disks: what is no plain name is
# left out.
_holdfast_list() {
  local command='' pattern='' line name count=0 plain='^[A-Za-z0-9_.+:/@%,=~-]+$'
  case $1 in
${listCases()}    *) return ;;
  esac
  local end=$((SECONDS + ${DEADLINE_S}))
  while ((count < ${MOST_LINES} && SECONDS <= end)) && IFS= read -r -t ${DEADLINE_S} line; do
    count=$((count + 1))
    [[ $line =~ $pattern ]] || continue
    name=\${BASH_REMATCH[1]}
    [[ $name =~ $plain && $name == "$2"* ]] && COMPREPLY+=("$name")
  done < <(exec timeout -k 1 ${DEADLINE_S} $command 2>/dev/null </dev/null)
}

_holdfast_offer() {
  local word
  case $1 in
    words:*)
      for word in \${1#words:}; do
        [[ $word == "$2"* ]] && COMPREPLY+=("$word")
      done
      ;;
    list:*) _holdfast_list "\${1#list:}" "$2" ;;
    file)
      compopt -o filenames 2>/dev/null
      while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "$2")
      ;;
  esac
}

_holdfast_complete() {
  local line=\${COMP_LINE:0:COMP_POINT} commands options kind value word current path='' option='' at
  local IFS=$' \\t\\n'
  local -a words
  COMPREPLY=()
  read -r -a words <<<"$line"
  [[ $line == *[[:blank:]] ]] && words+=('')
  current=\${words[\${#words[@]} - 1]}
  "_holdfast_node_$1" ''
  for ((at = 1; at < \${#words[@]} - 1; at++)); do
    word=\${words[at]}
    if [[ -n $option ]]; then
      option=''
    elif [[ $word == -*=* ]]; then
      continue
    elif [[ $word == -* ]]; then
      "_holdfast_value_$1" "$path $word"
      option=$value
    elif [[ " $commands " == *" $word "* ]]; then
      path="\${path:+$path }$word"
      "_holdfast_node_$1" "$path"
    fi
  done
  local before=''
  if [[ -n $option ]]; then
    _holdfast_offer "$option" "$current"
  elif [[ $current == --*=* ]]; then
    "_holdfast_value_$1" "$path \${current%%=*}"
    before="\${current%%=*}="
    _holdfast_offer "$value" "\${current#*=}"
  elif [[ $current == -* ]]; then
    _holdfast_offer "words:$options" "$current"
  else
    _holdfast_offer "words:$commands" "$current"
    _holdfast_offer "$kind" "$current"
  fi
  # To bash a word ends at some signs, and what is before the last of them is not replaced.
  local whole=$current cut='' sign
  for sign in : =; do
    [[ $COMP_WORDBREAKS == *"$sign"* && $whole == *"$sign"* ]] || continue
    [[ \${#whole} -gt 0 && \${#cut} -lt \${#whole} ]] || continue
    local head="\${whole%"\${whole##*"$sign"}"}"
    [[ \${#head} -gt \${#cut} ]] && cut=$head
  done
  for ((at = 0; at < \${#COMPREPLY[@]}; at++)); do
    word="$before\${COMPREPLY[at]}"
    COMPREPLY[at]=\${word#"$cut"}
  done
}
`;
