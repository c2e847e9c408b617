import type { CSSProperties } from 'react';

interface NameProps {
  text: string;
  style?: CSSProperties;
}

/** A name from the outside: on one line, cut with the whole in the title, and kept from turning its surroundings round
 * when it is written from right to left. */
export function Name({ text, style }: NameProps) {
  return (
    <bdi title={text} style={{ overflow: 'hidden', textOverflow: 'ellipsis', whiteSpace: 'nowrap', minWidth: 0, ...style }}>
      {text}
    </bdi>
  );
}
