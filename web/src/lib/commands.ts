import { onScopeDispose, shallowReactive } from 'vue';

/** Something that the palette offers. */
export interface Command {
  readonly id: string;
  readonly label: string;
  readonly run: () => void;
}

const ofPages = shallowReactive(new Map<symbol, () => readonly Command[]>());

/** Offers commands as long as the page is shown. */
export function offerCommands(commands: () => readonly Command[]): void {
  const key = Symbol('commands');
  ofPages.set(key, commands);
  onScopeDispose(() => ofPages.delete(key));
}

/** The commands of the page that is shown. */
export function offeredCommands(): Command[] {
  return [...ofPages.values()].flatMap((commands) => commands());
}

/** The commands whose label has all words of a text, in any case; those that begin with it first. */
export function matching(commands: readonly Command[], text: string): Command[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = commands.filter(({ label }) => words.every((word) => label.toLowerCase().includes(word)));
  const begins = ({ label }: Command) => (words[0] !== undefined && label.toLowerCase().startsWith(words[0]) ? 0 : 1);
  return found.sort((a, b) => begins(a) - begins(b));
}
