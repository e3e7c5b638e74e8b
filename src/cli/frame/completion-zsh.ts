import type { Completion } from './completion.ts';
import {
  DEADLINE_S,
  functionName,
  kindOf,
  listCases,
  MOST_LINES,
  nodeCases,
  quoted,
  valueCases,
} from './completion-shell.ts';

/** A file of zsh's compsys. */
export function zshText(completion: Completion): string {
  const { program } = completion;
  const name = functionName(program);
  return `#compdef ${program}
# zsh completion of ${program}. Written by scripts/man-pages.ts.

# What may follow the words of commands: arrays of a name, a colon and what it is.
_holdfast_node_${name}() {
  commands=() options=() kind=''
  case $1 in
${nodeCases(completion, ({ commands, options, operands }) =>
  [
    ...commands.map(([word, about]) => `      commands+=(${described(word, about)})\n`),
    ...options.flatMap(({ names, about }) =>
      names.map((one) => `      options+=(${described(one, about)})\n`),
    ),
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
_holdfast_complete ${name}
`;
}

function described(word: string, about: string): string {
  return quoted(`${word.replaceAll(':', '\\:')}:${about.replaceAll('\n', ' ')}`);
}

/** The same in the file of every program: which one is read first does not matter. */
const COMMON = `
# Names, from a program that gets ${DEADLINE_S} s. They come from disks: what is no plain name is
# left out.
_holdfast_list() {
  local command='' pattern='' line name fd plain='^[A-Za-z0-9_.+:/@%,=~-]+$'
  local -i count=0 end=$((SECONDS + ${DEADLINE_S}))
  local -a found
  local MATCH match
  case $1 in
${listCases()}    *) return ;;
  esac
  # A loop that reads the program itself would wait for its end.
  exec {fd}< <(exec timeout -k 1 ${DEADLINE_S} \${=command} 2>/dev/null </dev/null)
  while ((count < ${MOST_LINES} && SECONDS <= end)) && IFS= read -r -t ${DEADLINE_S} -u $fd line; do
    count+=1
    [[ $line =~ $pattern ]] || continue
    name=$match[1]
    [[ $name =~ $plain ]] && found+=($name)
  done
  exec {fd}<&-
  compadd -a found
}

_holdfast_offer() {
  case $1 in
    words:*) compadd -- \${=1#words:} ;;
    list:*) _holdfast_list "\${1#list:}" ;;
    file) _files ;;
  esac
}

_holdfast_complete() {
  local kind value word here='' option=''
  local -a commands options
  local -i at
  local current=$words[CURRENT]
  "_holdfast_node_$1" ''
  for ((at = 2; at < CURRENT; at++)); do
    word=$words[at]
    if [[ -n $option ]]; then
      option=''
    elif [[ $word == -*=* ]]; then
      continue
    elif [[ $word == -* ]]; then
      "_holdfast_value_$1" "$here $word"
      option=$value
    elif [[ -n \${commands[(r)$word:*]} ]]; then
      here="\${here:+$here }$word"
      "_holdfast_node_$1" "$here"
    fi
  done
  if [[ -n $option ]]; then
    _holdfast_offer "$option"
  elif [[ $current == --*=* ]]; then
    "_holdfast_value_$1" "$here \${current%%=*}"
    compset -P '*='
    _holdfast_offer "$value"
  elif [[ $current == -* ]]; then
    _describe -o option options
  else
    (($#commands)) && _describe command commands
    _holdfast_offer "$kind"
  fi
}
`;
