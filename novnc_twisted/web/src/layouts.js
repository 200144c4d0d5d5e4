/*
 * Which keys a character takes on a keyboard.  Pure.
 *
 * QEMU turns keys into scan codes, so a text typed for it must be spelt for the layout that the guest uses.
 */
import keysyms from '../node_modules/@novnc/novnc/core/input/keysymdef.js';
import { ALTGR, ENTER, SHIFT, TAB } from './keys.js';

/* The printing keys in rows, by DOM code. */
const ROWS = [
    ['Backquote', ...'1234567890'.split('').map((d) => `Digit${d}`), 'Minus', 'Equal'],
    [...'QWERTYUIOP'.split('').map((c) => `Key${c}`), 'BracketLeft', 'BracketRight', 'Backslash'],
    [...'ASDFGHJKL'.split('').map((c) => `Key${c}`), 'Semicolon', 'Quote'],
    ['IntlBackslash', ...'ZXCVBNM'.split('').map((c) => `Key${c}`), 'Comma', 'Period', 'Slash'],
];

/* For each layout what the rows give: plain, with Shift, with AltGr. A space: nothing, or a dead key. */
const LAYOUTS = {
    us: {
        name: 'English (US)',
        plain: ['`1234567890-=', 'qwertyuiop[]\\', "asdfghjkl;'", ' zxcvbnm,./'],
        shift: ['~!@#$%^&*()_+', 'QWERTYUIOP{}|', 'ASDFGHJKL:"', ' ZXCVBNM<>?'],
    },
    gb: {
        name: 'English (UK)',
        plain: ['`1234567890-=', 'qwertyuiop[]#', "asdfghjkl;'", '\\zxcvbnm,./'],
        shift: ['¬!"£$%^&*()_+', 'QWERTYUIOP{}~', 'ASDFGHJKL:@', '|ZXCVBNM<>?'],
        altgr: ['|   €        ', '             ', '           ', '           '],
    },
    de: {
        name: 'German',
        plain: [' 1234567890ß ', 'qwertzuiopü+#', 'asdfghjklöä', '<yxcvbnm,.-'],
        shift: ['°!"§$%&/()=? ', "QWERTZUIOPÜ*'", 'ASDFGHJKLÖÄ', '>YXCVBNM;:_'],
        altgr: ['  ²³   {[]}\\ ', '@ €        ~ ', '           ', '|      µ   '],
    },
    fr: {
        name: 'French',
        plain: ['²&é"\'(-è_çà)=', 'azertyuiop $*', 'qsdfghjklmù', '<wxcvbn,;:!'],
        shift: [' 1234567890°+', 'AZERTYUIOP £µ', 'QSDFGHJKLM%', '>WXCVBN?./§'],
        altgr: ['   #{[| \\^@]}', '  €          ', '           ', '           '],
    },
};

function table({ plain, shift, altgr }) {
    const keys = new Map();
    [[plain, []], [shift, [SHIFT]], [altgr, [ALTGR]]].forEach(([rows, modifiers]) => {
        rows?.forEach((row, r) => [...row].forEach((character, column) => {
            if (character !== ' ' && !keys.has(character)) {
                keys.set(character, [...modifiers, [keysym(character), ROWS[r][column]]]);
            }
        }));
    });
    keys.set(' ', [[0x20, 'Space']]);
    keys.set('\n', [ENTER]);
    keys.set('\t', [TAB]);
    return keys;
}

const keysym = (character) => keysyms.lookup(character.codePointAt(0));

const TABLES = new Map(Object.entries(LAYOUTS).map(([id, layout]) => [id, table(layout)]));

/** `[id, name]` of every layout that text can be typed for. */
export const NAMES = Object.entries(LAYOUTS).map(([id, { name }]) => [id, name]);

/** The layout that a person with these browser languages most likely gave the server. */
export function guess(languages) {
    for (const language of languages) {
        const [main, region] = language.toLowerCase().split('-');
        if (main === 'de' && region !== 'ch') return 'de';
        if (main === 'fr' && !['ch', 'ca'].includes(region)) return 'fr';
        if (main === 'en') return region === 'gb' ? 'gb' : 'us';
    }
    return 'us';
}

/**
 * The keys for each character of a text: `{keys: [[keysym, code], ...], known}`.
 *
 * A character that the layout lacks goes as its keysym alone: servers other than QEMU type it all the same.
 * Other control characters are left out.
 */
export function spell(text, layout = 'us') {
    const keys = TABLES.get(layout) ?? TABLES.get('us');
    const spelt = [];
    for (const character of text.replace(/\r\n?/g, '\n')) {
        const known = keys.get(character);
        if (known) {
            spelt.push({ keys: known, known: true });
        } else if (!/[\u0000-\u001f\u007f-\u009f]/.test(character)) {
            spelt.push({ keys: [[keysym(character), null]], known: false });
        }
    }
    return spelt;
}
