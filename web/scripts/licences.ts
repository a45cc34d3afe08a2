/** Licences of packages: which may be in the page, and which may be used to build and check it. */
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

/** Permissive licences, as in deny.toml: the page is distributed as a part of one binary under Apache-2.0. */
export const PERMISSIVE: readonly string[] = ['0BSD', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', 'MIT', 'MIT-0', 'Zlib'];
/** Licences of programs and of their data that run at build time or in tests: nothing of them is distributed. */
const OF_TOOLS: readonly string[] = ['(MIT OR Apache-2.0)', 'BlueOak-1.0.0', 'CC-BY-4.0', 'MPL-2.0', 'Python-2.0'];

interface Lock {
  readonly packages: Readonly<Record<string, { readonly license?: string; readonly resolved?: string }>>;
}

/** The packages of a lock file that have no licence of the lists, and those that name where they come from. */
export function offences(lock: Lock): string[] {
  return Object.entries(lock.packages)
    .filter(([path]) => path !== '')
    .flatMap(([path, { license, resolved }]) => [
      ...(license !== undefined && [...PERMISSIVE, ...OF_TOOLS].includes(license) ? [] : [`${path}: ${license ?? 'no licence'}`]),
      ...(resolved === undefined ? [] : [`${path}: names its source, which depends on the machine; set omit-lockfile-registry-resolved`]),
    ]);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as Lock;
  const found = offences(lock);
  for (const offence of found) {
    console.error(offence);
  }
  process.exitCode = found.length > 0 ? 1 : 0;
}
