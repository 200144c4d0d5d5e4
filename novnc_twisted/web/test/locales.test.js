import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { test } from 'node:test';
import { readCauses, readLocales } from '../locales.js';
import { choose } from '../src/language.js';
import * as list from '../src/locales/list.en.js';
import * as power from '../src/locales/power.en.js';
import * as page from '../src/locales/en.js';
import { sentences as portalSentences } from '../src/locales/portal.en.js';
import { fill, merged } from '../src/words.js';

const SOURCES = fileURLToPath(new URL('../src', import.meta.url));
const FOLDER = join(SOURCES, 'locales');
const causes = await readCauses(FOLDER);
const locales = await readLocales(FOLDER);
const sentences = Object.values(causes);

/* [name, text] of every text of a table; the forms of a plural are one text. */
function texts(table, path = []) {
    return Object.entries(table).flatMap(([name, value]) => (typeof value === 'string' || 'other' in value
        ? [[[...path, name].join('.'), value]] : texts(value, [...path, name])));
}

/* The page takes the sentence of a refusal from the causes if they contain it. */
const portal = Object.fromEntries(portalSentences.map((sentence) => [sentence, sentence]));
const needed = texts({ page, list, power, causes, portal }).filter(([name, value]) => !(name.endsWith('.sentence') && sentences.includes(value)));
const forms = (text) => (typeof text === 'string' ? [text] : Object.values(text));
const placeholders = (text) => [...new Set(forms(text).flatMap((form) => form.match(/\{\w+\}/g) ?? []))].sort();

test('there are twelve languages beside English', () => {
    const wanted = ['de', 'es', 'fr', 'it', 'ja', 'ko', 'nl', 'pl', 'pt-BR', 'ru', 'uk', 'zh-CN'];
    assert.deepEqual(locales.map(([language]) => language), wanted);
});

for (const [language, table] of locales) {
    const own = new Map(texts(table));

    test(`${language}: no text is missing, and none is left over`, () => {
        assert.deepEqual([...own.keys()].sort(), needed.map(([name]) => name).sort());
        for (const [name, text] of own) {
            assert.ok(forms(text).every((form) => form.trim() === form && form), name);
        }
    });

    test(`${language}: the texts have the placeholders of the English ones`, () => {
        for (const [name, english] of needed) {
            assert.deepEqual(placeholders(own.get(name)), placeholders(english), name);
        }
    });

    test(`${language}: every number has its plural form`, () => {
        const rules = new Intl.PluralRules(language);
        const used = new Set(Array.from({ length: 1001 }, (_, count) => rules.select(count)));
        for (const [name, text] of own) {
            if (typeof text !== 'string') {
                assert.deepEqual([...used].filter((form) => !(form in text)), [], name);
                assert.ok('other' in text, name);
            }
        }
    });
}

test('keys have the same names in sentences and on buttons', () => {
    for (const [language, { page: { text, say, keys } }] of locales) {
        const { ctrl, shift, del, esc } = keys;
        assert.equal(text.cad, `${ctrl}+Alt+${del}`, language);
        assert.ok(text.shortcut.includes(`${ctrl}+Alt+${shift}`) && text.shortcut.includes(esc), language);
        const others = ['Ctrl', 'Strg', 'Shift', 'Umschalt', 'Maj', 'Mayús', 'Maiusc', 'Escape', 'Del', 'Entf', 'Suppr', 'Supr', 'Canc']
            .filter((name) => ![ctrl, shift, del, esc].includes(name));
        const wrong = new RegExp(`(?<!\\p{L})(${others.join('|')})(?!\\p{L})`, 'u');
        for (const [name, words] of texts({ text, say })) {
            assert.ok(forms(words).every((form) => !wrong.test(form)), `${language}: ${name}`);
        }
    }
});

test('a language is chosen by whole name, then by language alone, in the order of the wishes', () => {
    const offered = ['en', 'de', 'pt-BR', 'zh-CN'];
    for (const [wanted, found] of [
        [['de-AT', 'en'], 'de'], [['DE'], 'de'], [['pt'], 'pt-BR'], [['pt-PT'], 'pt-BR'], [['zh'], 'zh-CN'], [['zh-Hans-CN'], 'zh-CN'],
        [['zh-TW', 'en'], 'en'], [['en-GB', 'de'], 'en'], [['sv', 'de'], 'de'], [['sv'], undefined], [[], undefined], [[''], undefined],
        [['../de'], undefined], [['__proto__'], undefined],
    ]) {
        assert.equal(choose(wanted, offered), found, wanted.join());
    }
});

test('values and plural forms are filled in', () => {
    const text = { one: 'ein Zeichen', other: '{count} Zeichen' };
    assert.equal(fill(text, { count: 1 }, 'de'), 'ein Zeichen');
    assert.equal(fill(text, { count: 1234 }, 'de'), '1.234 Zeichen');
    assert.equal(fill('{name}: {name}', { name: '$&' }), '$&: $&');
    assert.equal(fill('{toString} {missing}', {}), '{toString} {missing}');
});

test('what a translation lacks stays English', () => {
    const table = merged({ a: 'A', b: { c: 'C' }, d: { one: '1', other: 'n' } }, { b: {}, d: { other: 'x' } });
    assert.deepEqual(table, { a: 'A', b: { c: 'C' }, d: { other: 'x' } });
    assert.deepEqual(merged({ a: 'A' }, undefined), { a: 'A' });
});

/* Strings of a source without its comments. */
function strings(source) {
    const code = source.replace(/\/\*[^]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '');
    return [...code.matchAll(/'((?:[^'\\\n]|\\.)*)'|`((?:[^`\\]|\\.)*)`/g)].map(([, single, back]) => single ?? back.replace(/\$\{[^}]*\}/g, ''));
}

/* Two words, or a word that begins with a capital: it looks like something to read. */
const READABLE = /[A-Za-z]{2,} [a-z]{2,}|^[A-Z][a-z]+( |[.!?…]?$)/;
const NO_TEXT = [
    /^(Key|Digit|Content-Type|Enter|Home|End|Tab|Escape|Backspace|Delete|Insert|Space|Equal|Minus|Quote|Slash|Comma|Period|Semicolon|Backslash|Backquote)$/,
    /^(Alt|Super)$/, // keys, as on every keyboard
    /^[.#[]|^(button|input|ul|li|tbody)\b|, (button|textarea|input)/, // selectors
    /^unknown keyboard layout|^full screen:/, // for the console of the browser
    /^image\//, // types
];

test('no text is outside the tables', async () => {
    const found = [];
    for (const folder of ['', 'list']) {
        for (const name of (await readdir(join(SOURCES, folder))).filter((each) => each.endsWith('.js') && each !== 'layout_data.js')) {
            const source = await readFile(join(SOURCES, folder, name), 'utf8');
            found.push(...strings(source).filter((each) => READABLE.test(each) && !NO_TEXT.some((known) => known.test(each)))
                .map((each) => `${join(folder, name)}: ${each}`));
        }
    }
    assert.deepEqual(found, []);
    const html = (await readFile(join(SOURCES, 'page.html'), 'utf8')).replace(/<noscript>.*|<title>.*|<!--.*-->/g, '');
    assert.deepEqual(html.match(/>[^<>]*[A-Za-z]{2}[^<>]*</g), null);
    for (const sheet of ['style.css', join('list', 'list.css')]) {
        const css = await readFile(join(SOURCES, sheet), 'utf8');
        assert.deepEqual(css.match(/content: *['"][^'"]*[A-Za-z]{2}[^'"]*['"]/g), null, sheet);
    }
    assert.deepEqual(html.match(/\s(title|aria-label|placeholder|alt)="[^"]+"/g), null);
});

test('every text that the HTML names is in the table', async () => {
    const html = await readFile(join(SOURCES, 'page.html'), 'utf8');
    for (const [, name] of html.matchAll(/data-(?:text|label|placeholder)="(\w+)"/g)) {
        assert.ok(name in page.text || name in power.text, name);
    }
});

test('the texts about a server that is off name actions as the buttons do', () => {
    for (const words of [page.refusals[4409].sentence, page.refusals[4409].hint]) {
        for (const action of ['start', 'resume']) {
            assert.match(words, new RegExp(`\\b${power.actions[action].label}`, 'i'));
        }
    }
});
