/** JSON to be read. It is not parsed, because numbers of JavaScript do not hold every integer exactly. */

const STEP = '  ';
/** Strings, marks, and the words and numbers between them. */
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

/** Breaks JSON into indented lines. Only the white space between its tokens changes. */
export function indentJson(text: string): string {
  const tokens = text.match(TOKEN) ?? [];
  let depth = 0;
  let lines = '';
  const newLine = () => `\n${STEP.repeat(depth)}`;
  tokens.forEach((token, index) => {
    const isEmpty = (token === '{' && tokens[index + 1] === '}') || (token === '[' && tokens[index + 1] === ']');
    const closesEmpty = (token === '}' && tokens[index - 1] === '{') || (token === ']' && tokens[index - 1] === '[');
    if (token === '{' || token === '[') {
      depth += 1;
      lines += token + (isEmpty ? '' : newLine());
    } else if (token === '}' || token === ']') {
      depth = Math.max(depth - 1, 0);
      lines += (closesEmpty ? '' : newLine()) + token;
    } else {
      lines += token === ',' ? token + newLine() : token === ':' ? ': ' : token;
    }
  });
  return lines;
}
