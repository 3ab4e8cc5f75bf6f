/** lib/string.c on memory that is reached through the data cache: bytes at the ends, words in between. */
import type { Kernel } from '../cpu/kernel.js';
import { NULL, type Vaddr, vaddr } from '../shared/types.js';

/** Context: any. */
export function memset(k: Kernel, addr: Vaddr, byte: number, bytes: number): void {
  const end = addr + bytes;
  const word = (byte & 0xff) * 0x01010101;
  let at: number = addr;
  while (at < end && (at & 3) !== 0) k.store8(vaddr(at++), byte);
  for (; at + 4 <= end; at += 4) k.store32(vaddr(at), word);
  while (at < end) k.store8(vaddr(at++), byte);
}

/** Context: any. The ranges must not overlap. Whole words where both are aligned. */
export function memcpy(k: Kernel, to: Vaddr, from: Vaddr, bytes: number): void {
  let done = 0;
  if (((to | from) & 3) === 0) {
    for (; done + 4 <= bytes; done += 4) k.store32(vaddr(to + done), k.load32(vaddr(from + done)));
  }
  for (; done < bytes; done++) k.store8(vaddr(to + done), k.load8(vaddr(from + done)));
}

/** The first byte of the range that does not hold @byte; NULL if all do. Nothing behind it is read. Source: lib/string.c, Linux 3.2. */
export function memchr_inv(k: Kernel, start: Vaddr, byte: number, bytes: number): Vaddr {
  for (let at: number = start; at < start + bytes; at++) if (k.load8(vaddr(at)) !== byte) return vaddr(at);
  return NULL;
}

/** Does every byte of the range hold @byte? */
export const check_bytes = (k: Kernel, start: Vaddr, byte: number, bytes: number): boolean =>
  memchr_inv(k, start, byte, bytes) === NULL;

/** A string of the kernel: a zero byte ends it. Boot only. */
export function writeString(k: Kernel, addr: Vaddr, text: string): void {
  for (let i = 0; i <= text.length; i++) k.store8(vaddr(addr + i), i < text.length ? text.charCodeAt(i) : 0);
}

/** At most 64 bytes of a string. */
export function readString(k: Kernel, addr: Vaddr): string {
  let text = '';
  for (let i = 0; i < 64; i++) {
    const byte = k.load8(vaddr(addr + i));
    if (byte === 0) break;
    text += String.fromCharCode(byte);
  }
  return text;
}
