/*
 * Which keys a character needs in each keyboard layout.
 *
 * QEMU turns keys into scan codes, so a text must be spelt as keys of the guest's layout.
 */
import keysyms from '../node_modules/@novnc/novnc/core/input/keysymdef.js';
import { ALTGR, ENTER, SHIFT, TAB } from './keys.js';
import { DATA } from './layout_data.js';

/* The printing keys by DOM code, in the order of DATA's texts. */
const KEYS = [
    'Backquote', ...[...'1234567890'].map((d) => `Digit${d}`), 'Minus', 'Equal', 'IntlYen',
    ...[...'QWERTYUIOP'].map((c) => `Key${c}`), 'BracketLeft', 'BracketRight', 'Backslash',
    ...[...'ASDFGHJKL'].map((c) => `Key${c}`), 'Semicolon', 'Quote',
    'IntlBackslash', ...[...'ZXCVBNM'].map((c) => `Key${c}`), 'Comma', 'Period', 'Slash', 'IntlRo',
];

/* The levels in DATA's order.  AltGr costs most, because its levels differ most between operating systems. */
const LEVELS = [
    { modifiers: [], cost: 0 },
    { modifiers: [SHIFT], cost: 1 },
    { modifiers: [ALTGR], cost: 3 },
    { modifiers: [ALTGR, SHIFT], cost: 5 },
];
const OPTIONAL = ['IntlBackslash', 'IntlYen', 'IntlRo']; // keys that not every keyboard has
const OPTIONAL_COST = 1.5;
const DEAD_COST = 2;

/* Combining marks as keysyms of dead keys (XK_dead_grave and so on). */
const DEAD = new Map([...'\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327\u0328'].map(
    (mark, i) => [mark, 0xfe50 + i])).set('\u0323', 0xfe60).set('\u0309', 0xfe61).set('\u031b', 0xfe62).set('\u0326', 0xfe6e);

/* Accents that stand alone: a dead key and Space, or a dead key twice, as in X's compose tables. */
const WITH_SPACE = { '^': '\u0302', '`': '\u0300', '~': '\u0303' };
const TWICE = { '´': '\u0301', '¨': '\u0308', '¯': '\u0304', '¸': '\u0327', 'ˇ': '\u030c', '˝': '\u030b' };

const SPACE = [0x20, 'Space'];
const keysym = (character) => keysyms.lookup(character.codePointAt(0));

/* The cheapest way to type each character and each dead key of a layout, as `{chords, cost}`. */
function direct([, ...texts]) {
    const found = new Map([[' ', SPACE], ['\n', ENTER], ['\t', TAB]].map(
        ([character, key]) => [character, { chords: [[key]], cost: 0 }]));
    texts.forEach((text, level) => [...text].forEach((character, i) => {
        const cost = LEVELS[level].cost + (OPTIONAL.includes(KEYS[i]) ? OPTIONAL_COST : 0);
        if (character !== ' ' && !(found.get(character)?.cost <= cost)) {
            const key = [DEAD.get(character) ?? keysym(character), KEYS[i]];
            found.set(character, { chords: [[...LEVELS[level].modifiers, key]], cost });
        }
    }));
    return found;
}

/* The presses one after the other, or undefined if one of them is missing. */
function sequence(...presses) {
    return presses.every(Boolean) ? {
        chords: presses.flatMap(({ chords }) => chords),
        cost: presses.reduce((sum, { cost }) => sum + cost, DEAD_COST),
    } : undefined;
}

/* The ways to type a character with dead keys: the dead keys of its last marks, outermost first, and then the key of the
   letter with the remaining marks. */
function composed(character, keys) {
    if (character in WITH_SPACE) {
        return [sequence(keys.get(WITH_SPACE[character]), keys.get(' '))];
    }
    if (character in TWICE) {
        return [sequence(keys.get(TWICE[character]), keys.get(TWICE[character]))];
    }
    const [letter, ...marks] = character.normalize('NFD');
    return /\P{L}/u.test(letter) ? [] : marks.map((_, i) => sequence(
        ...marks.slice(i).reverse().map((mark) => DEAD.has(mark) && keys.get(mark)),
        keys.get((letter + marks.slice(0, i).join('')).normalize('NFC'))));
}

const layouts = new Map(); // by id, made when first used

/** `[id, name]` of every layout that text can be typed for. */
export const NAMES = Object.entries(DATA).map(([id, [name]]) => [id, name]).sort(([, a], [, b]) => (a < b ? -1 : 1));

/**
 * The keys for each character of a text: `{chords: [[[keysym, code], ...], ...], known}`.
 *
 * A character that the layout lacks is sent as its keysym alone: servers other than QEMU can still type it.
 * Control characters other than Tab and line breaks are left out.  RangeError: there is no such layout.
 */
export function spell(text, layout = 'us') {
    if (!Object.hasOwn(DATA, layout)) {
        throw new RangeError(`unknown keyboard layout ${layout}`);
    }
    if (!layouts.has(layout)) {
        layouts.set(layout, { keys: direct(DATA[layout]), spelt: new Map() });
    }
    const { keys, spelt } = layouts.get(layout);
    const all = [];
    for (const character of text.normalize('NFC').replace(/\r\n?/g, '\n')) {
        if (!spelt.has(character)) {
            spelt.set(character, spellOne(character, keys));
        }
        all.push(spelt.get(character));
    }
    return all.filter(Boolean);
}

function spellOne(character, keys) {
    // The key of a combining mark is its dead key, which does not type the mark, but changes the next letter.
    const ways = [!DEAD.has(character) && keys.get(character), ...composed(character, keys)].filter(Boolean);
    if (ways.length) {
        const { chords } = ways.reduce((best, way) => (way.cost < best.cost ? way : best));
        return { chords, known: true };
    }
    if (/[\u0000-\u001f\u007f-\u009f]/.test(character)) {
        return null;
    }
    return { chords: [[[keysym(character), null]]], known: false };
}
