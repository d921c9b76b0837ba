/**
 * What is written out as an escape: control and formatting characters (bidirectional ones among them), which a
 * terminal or an editor would act on or hide, and every space but the plain one.
 */
const UNSEEN = /[\p{C}\p{Z}]/u;

const isSeen = (character: string): boolean => character === ' ' || !UNSEEN.test(character);

/** A word for bash or zsh that stands for exactly this text. It must hold no NUL. */
export function shellWord(text: string): string {
  if (Array.from(text).every(isSeen)) return `'${text.replaceAll("'", String.raw`'\''`)}'`;
  return `$'${Array.from(text, inAnsiC).join('')}'`;
}

/** Within `$'…'`: also what the history of an interactive shell would take for its own. */
function inAnsiC(character: string): string {
  if (character === '\n') return String.raw`\n`;
  if (!/['\\!]/.test(character) && isSeen(character)) return character;
  return [...new TextEncoder().encode(character)]
    .map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`)
    .join('');
}

const LONG_ESCAPES = {
  JavaScript: (hex: string) => `\\u{${hex}}`,
  Python: (hex: string) => `\\U${hex.padStart(8, '0')}`,
  Go: (hex: string) => `\\U${hex.padStart(8, '0')}`,
} as const;

export type Language = keyof typeof LONG_ESCAPES;

/** A string in double quotes that stands for exactly this text. */
export function stringLiteral(text: string, language: Language): string {
  const inside = Array.from(text, (character) => {
    if (character === '"' || character === '\\') return `\\${character}`;
    if (character === '\n') return String.raw`\n`;
    if (isSeen(character)) return character;
    const hex = (character.codePointAt(0) ?? 0).toString(16);
    return hex.length > 4 ? LONG_ESCAPES[language](hex) : `\\u${hex.padStart(4, '0')}`;
  });
  return `"${inside.join('')}"`;
}
