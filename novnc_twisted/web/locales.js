/*
 * Writes one file of texts for each language, with a hash of its content in its name.  The page loads only the file of
 * its own language.
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Every locale of the folder: `[language, texts]`. */
export async function readLocales(folder) {
    const names = (await readdir(folder)).filter((name) => name.endsWith('.json') && name !== 'causes.json').sort();
    return Promise.all(names.map(async (name) => [name.slice(0, -'.json'.length), JSON.parse(await readFile(join(folder, name), 'utf8'))]));
}

/** The sentences of the proxy's refusals in English, by cause; from novnc_twisted/errors.py. */
export async function readCauses(folder) {
    return JSON.parse(await readFile(join(folder, 'causes.json'), 'utf8'));
}

/** Write the files, and return their names by language. */
export async function buildLocales(folder, assets) {
    const causes = Object.entries(await readCauses(folder));
    await mkdir(assets, { recursive: true });
    const files = {};
    for (const [language, texts] of await readLocales(folder)) {
        // by English sentence: a close frame contains it, and several causes share a code
        const sentences = Object.fromEntries(causes.map(([cause, english]) => [english, texts.causes[cause] ?? english]));
        const { portal, ...scripted } = texts; // the API reads its own texts, see portalWords
        const content = JSON.stringify({ ...scripted, causes: sentences });
        const hash = createHash('sha256').update(content).digest('hex').slice(0, 8).toUpperCase();
        files[language] = `words.${language}-${hash}.json`;
        await writeFile(join(assets, files[language]), content);
    }
    return files;
}

/** The texts of the API's own pages, the list and the refusals: language -> English text -> translated text. */
export async function portalWords(folder, scripted) {
    const causes = Object.entries(await readCauses(folder));
    return Object.fromEntries((await readLocales(folder)).map(([language, texts]) => [language, {
        ...Object.fromEntries(causes.map(([cause, english]) => [english, texts.causes[cause] ?? english])),
        ...Object.fromEntries(pairs(scripted, texts)),
        ...texts.portal,
    }]));
}

/* [English text, translated text] for every text of a table, except those with plural forms. */
function pairs(english, other) {
    return Object.entries(english).flatMap(([name, value]) => {
        if (typeof value === 'string') {
            return [[value, other[name]]];
        }
        return 'other' in value ? [] : pairs(value, other[name]);
    });
}
