/*
 * Builds dist/:
 * - the console page under three names, icons, and the licences of bundled code;
 * - with hashes in their names: scripts, style sheets, and the texts of each language;
 * - for the API: list.json and portal.json.
 */
import { build } from 'esbuild';
import { copyFile, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { buildLocales, portalWords } from './locales.js';
import * as listWords from './src/locales/list.en.js';
import * as powerWords from './src/locales/power.en.js';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const here = fileURLToPath(new URL('.', import.meta.url));
const dist = join(here, 'dist');
const staged = join(here, 'node_modules', '.dist'); // becomes dist/ when complete, so a failed build changes nothing
const novnc = join(here, 'node_modules', '@novnc', 'novnc');

/* Nova's console links have one of the first two names; bookmarks of stock noVNC have the third. */
const PAGES = ['vnc_auto.html', 'vnc_lite.html', 'vnc.html'];

await rm(staged, { recursive: true, force: true });
await mkdir(staged, { recursive: true });

const { version } = JSON.parse(await readFile(join(novnc, 'package.json'), 'utf8'));

const languages = await buildLocales(join(here, 'src', 'locales'), join(staged, 'assets'));

const { metafile } = await build({
    absWorkingDir: here,
    entryPoints: {
        console: 'src/main.js', timer: 'src/timer.worker.js', style: 'src/style.css',
        list: 'src/list/main.js', liststyle: 'src/list/list.css',
    },
    outdir: join(staged, 'assets'),
    entryNames: '[name]-[hash]',
    define: { LANGUAGES: JSON.stringify(languages) },
    bundle: true,
    minify: true,
    format: 'esm', // noVNC's core uses top-level await
    target: ['chrome100', 'firefox100', 'safari15.4'],
    legalComments: 'none', // the licences are files of their own, below
    banner: { js: `/*! With noVNC ${version} (MPL-2.0), pako (MIT), xkb-data (MIT/X11): see ../LICENSE.*.txt */` },
    metafile: true,
    logLevel: 'warning',
});

const outputs = Object.keys(metafile.outputs).map((path) => basename(path));
const asset = (name) => `assets/${outputs.find((output) => output.startsWith(`${name}-`))}`;
const template = await readFile(join(here, 'src', 'page.html'), 'utf8');
const page = template.replace('{{script}}', asset('console')).replace('{{timer}}', asset('timer'))
    .replace('{{style}}', asset('style'));

await Promise.all(PAGES.map((name) => writeFile(join(staged, name), page)));
await writeFile(join(staged, 'list.json'), JSON.stringify({ script: asset('list'), style: asset('liststyle') }));
for (const icon of ['favicon.svg', 'favicon.ico']) {
    await copyFile(join(here, 'src', icon), join(staged, icon));
}

const notice = `The console page holds the core of noVNC ${version}, unmodified but bundled and minified.
Its source: https://www.npmjs.com/package/@novnc/novnc/v/${version} and https://github.com/novnc/noVNC

`;
await writeFile(
    join(staged, 'LICENSE.noVNC.txt'), notice + (await readFile(join(novnc, 'LICENSE.txt'), 'utf8')));
await copyFile(join(novnc, 'docs', 'LICENSE.MPL-2.0'), join(staged, 'LICENSE.MPL-2.0.txt'));
await copyFile(join(novnc, 'vendor', 'pako', 'LICENSE'), join(staged, 'LICENSE.pako.txt'));
await copyFile(join(here, 'src', 'LICENSE.xkb-data.txt'), join(staged, 'LICENSE.xkb-data.txt'));
const des = await readFile(join(novnc, 'core', 'crypto', 'des.js'), 'utf8');
await writeFile(join(staged, 'LICENSE.noVNC-des.txt'), des.slice(0, des.indexOf('*/')).replace(/^\/?\*+/, ''));
await copyFile(join(novnc, 'AUTHORS'), join(staged, 'LICENSE.noVNC-AUTHORS.txt'));

/* Compressed once, here: the proxy sends the compressed file to browsers that accept it. */
const SMALLEST = { params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY } };
for (const folder of [staged, join(staged, 'assets')]) {
    for (const name of (await readdir(folder)).filter((each) => /\.(html|js|css|json)$/.test(each))) {
        const data = await readFile(join(folder, name));
        if (data.length < 1024) {
            continue; // nothing is gained
        }
        await writeFile(join(folder, `${name}.br`), brotliCompressSync(data, SMALLEST));
        await writeFile(join(folder, `${name}.gz`), gzipSync(data, { level: constants.Z_BEST_COMPRESSION }));
    }
}

// not compressed: only the API reads this file
await writeFile(join(staged, 'portal.json'), JSON.stringify(await portalWords(join(here, 'src', 'locales'), { list: listWords, power: powerWords })));

await rm(dist, { recursive: true, force: true });
await rename(staged, dist);
console.log(`dist/: ${PAGES.join(', ')}, ${asset('console')}, ${asset('style')}`);
