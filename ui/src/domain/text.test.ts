import { describe, expect, it } from 'vitest';
import { readable } from './text';

describe('readable', () => {
  it.each([
    ['cart', 'cart'],
    ['שירות', 'שירות'],
    ['👩‍🔧 repair', '👩‍🔧 repair'],
    ['a\u202Eevil', 'a\\u202eevil'],
    ['pay\u200Bments', 'pay\\u200bments'],
    ['two\nlines', 'two\\u000alines'],
    ['  ', '(no name)'],
    ['<b>', '<b>'],
  ])('%j reads %j', (text, want) => {
    expect(readable(text)).toBe(want);
  });
});
