/**
 * A text from the outside made harmless to read: what is invisible or changes the direction of its surroundings is
 * written out, so that a name cannot pass for another.
 */
export function readable(text: string): string {
  if (text.trim() === '') return '(no name)';
  return text.replace(INVISIBLE, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

// Control characters, zero-width ones, line separators, and those that override or isolate direction.
// eslint-disable-next-line no-control-regex -- these are what is looked for
const INVISIBLE = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
