/** The last steps of the build: licences of what is in the page, and its files compressed. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import type { Plugin, Rolldown } from 'vite';
import { PERMISSIVE } from './licences.ts';

/** Below it, the header of a compressed response is longer than what is saved. */
const MIN_BYTES = 512;

/** The folder of the package that a module belongs to; null for the page's own. */
export function packageFolder(module: string): string | null {
  const found = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(module.replace(/^\0/, '').replace(/\?.*$/, ''));
  return found ? found[0] : null;
}

function licenceOf(folder: string): string {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<string, string>;
  if (license === undefined || !PERMISSIVE.includes(license)) {
    throw new Error(`${name ?? folder} has the licence ${license ?? 'none'}, which is not one of ${PERMISSIVE.join(', ')}`);
  }
  const file = readdirSync(folder).find((found) => /^licen[cs]e/i.test(found));
  const text = file ? readFileSync(join(folder, file), 'utf8').trim() : license;
  return `${name ?? folder} ${version ?? ''} (${license})\n\n${text}\n`;
}

/** The folders of the packages whose code is in the page. Workers are bundles of their own, which are built before that of the page. */
const folders = new Set<string>();

/** Notes the packages of a worker, whose licences the page has. */
export function packagesOfWorker(): Plugin {
  return {
    name: 'packages-of-worker',
    generateBundle(_options, bundle) {
      notePackages(Object.values(bundle));
    },
  };
}

function notePackages(outputs: readonly (Rolldown.OutputAsset | Rolldown.OutputChunk)[]): void {
  for (const output of outputs) {
    const modules = output.type === 'chunk' ? output.moduleIds : [];
    modules.map(packageFolder).forEach((folder) => folder !== null && folders.add(folder));
  }
}

/** Adds the licences of the packages in the page to it, and fails if one is not permissive. */
export function licences(): Plugin {
  return {
    name: 'licences',
    apply: 'build',
    generateBundle(_options, bundle) {
      notePackages(Object.values(bundle));
      const texts = [...folders].filter((folder) => existsSync(join(folder, 'package.json'))).sort().map(licenceOf);
      if (texts.length === 0) {
        throw new Error('no package was found in the page, so no licence was checked');
      }
      this.emitFile({ type: 'asset', name: 'licences.txt', source: texts.join(`\n${'-'.repeat(80)}\n\n`) });
    },
  };
}

/** Empties the folder of the page, but for the file by which it is in the repository, and compresses what was written. */
export function compressed(folder: string): Plugin {
  return {
    name: 'compressed',
    apply: 'build',
    buildStart() {
      for (const name of readdirSync(folder).filter((found) => found !== '.gitignore')) {
        rmSync(join(folder, name), { recursive: true });
      }
    },
    closeBundle() {
      for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
        const path = join(entry.parentPath, entry.name);
        if (!entry.isFile() || !/\.(html|js|css|svg|txt)$/.test(entry.name)) {
          continue;
        }
        const content = readFileSync(path);
        if (content.length >= MIN_BYTES) {
          writeFileSync(`${path}.br`, brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }));
          writeFileSync(`${path}.gz`, gzipSync(content, { level: 9 }));
        }
      }
    },
  };
}
