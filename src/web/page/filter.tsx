interface FilterProps<Word extends string> {
  readonly label: string;
  readonly words: readonly Word[];
  textOf(word: Word): string;
  readonly chosen: Word;
  onChoose(word: Word): void;
}

/** Which rows of a table are shown: one of a few words. */
export function Filter<Word extends string>(props: FilterProps<Word>) {
  const { label, words, textOf, chosen, onChoose } = props;
  return (
    <fieldset class="filter">
      <legend class="heard">{label}</legend>
      {words.map((word) => (
        <button
          key={word}
          type="button"
          aria-pressed={word === chosen}
          onClick={() => onChoose(word)}
        >
          {textOf(word)}
        </button>
      ))}
    </fieldset>
  );
}
