/** Texts of a checker in the shared area: each is kept once, and stands for itself by its place. */

/** Words of a machine's hardware area that hold texts; one of them counts the words in use. */
export class Texts {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #used: number;
  readonly #at: number;
  readonly #room: number;
  /** Texts by their place, as far as this worker has read them, and places by text. */
  readonly #texts = new Map<number, string>();
  readonly #places = new Map<string, number>();

  /** @used: index of the count; @at, @room: where the texts are, and how many words. */
  constructor(words: Int32Array, used: number, at: number, room: number) {
    this.#words = words;
    this.#bytes = new Uint8Array(words.buffer);
    this.#used = used;
    this.#at = at;
    this.#room = room;
  }

  /** Keep a text. Return: its place, 0 when there is no room. Context: nobody else changes the area. */
  keep(text: string): number {
    const known = this.#places.get(text);
    if (known !== undefined && this.text(known) === text) return known;
    const found = this.#find(text);
    if (found !== 0) return found;
    const bytes = new TextEncoder().encode(text);
    const words = 1 + ((bytes.length + 3) >>> 2);
    const place = Math.max(1, this.#words[this.#used] as number);
    if (place + words > this.#room) return 0;
    this.#words[this.#used] = place + words;
    this.#words[this.#at + place] = bytes.length;
    this.#bytes.set(bytes, (this.#at + place + 1) * 4);
    this.#places.set(text, place);
    this.#texts.set(place, text);
    return place;
  }

  #find(text: string): number {
    for (let place = 1; place < (this.#words[this.#used] as number); ) {
      if (this.text(place) === text) return place;
      place += 1 + (((this.#words[this.#at + place] as number) + 3) >>> 2);
    }
    return 0;
  }

  text(place: number): string {
    if (place === 0) return '';
    const known = this.#texts.get(place);
    if (known !== undefined) return known;
    const start = (this.#at + place + 1) * 4;
    const text = new TextDecoder().decode(this.#bytes.slice(start, start + (this.#words[this.#at + place] as number)));
    this.#texts.set(place, text);
    return text;
  }

  /** Nothing is kept any more. */
  clear(): void {
    this.#words[this.#used] = 0;
    this.#texts.clear();
    this.#places.clear();
  }
}
