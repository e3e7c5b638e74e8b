/** What was given, as an option or in the environment: nothing is no value. */
export function given(word: string | undefined): string | undefined {
  return word === '' ? undefined : word;
}
