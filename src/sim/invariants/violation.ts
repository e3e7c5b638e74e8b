/** A safety promise was broken; `item` is its number in spec 10 §16. */
export class Violation extends Error {
  override readonly name = 'Violation';
  readonly item: number;

  constructor(item: number, text: string) {
    super(`spec 10 §16 item ${item}: ${text}`);
    this.item = item;
  }
}
