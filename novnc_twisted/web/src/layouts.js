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

/*
 * For each layout what the rows give, plain and with Shift (a space: nothing, or a dead key); which keys give what
 * with AltGr; and which are dead, and give the bare accent before a space.  As in xkeyboard-config; of its AltGr
 * level what people type, not the typesetter's signs.
 */
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
        altgr: { '€': 'Digit4' },
    },
    de: {
        name: 'German',
        plain: [' 1234567890ß ', 'qwertzuiopü+#', 'asdfghjklöä', '<yxcvbnm,.-'],
        shift: ['°!"§$%&/()=? ', "QWERTZUIOPÜ*'", 'ASDFGHJKLÖÄ', '>YXCVBNM;:_'],
        altgr: {
            '²': 'Digit2', '³': 'Digit3', '{': 'Digit7', '[': 'Digit8', ']': 'Digit9', '}': 'Digit0', '\\': 'Minus',
            '@': 'KeyQ', '€': 'KeyE', '~': 'BracketRight', '|': 'IntlBackslash', 'µ': 'KeyM',
        },
        dead: { '^': ['Backquote'], '´': ['Equal'], '`': ['Equal', SHIFT] },
    },
    ch: {
        name: 'German (Switzerland)',
        plain: ["§1234567890' ", 'qwertzuiopü $', 'asdfghjklöä', '<yxcvbnm,.-'],
        shift: ['°+"*ç%&/()=? ', 'QWERTZUIOPè!£', 'ASDFGHJKLéà', '>YXCVBNM;:_'],
        altgr: {
            '@': 'Digit2', '#': 'Digit3', '|': 'Digit7', '¢': 'Digit8', '€': 'KeyE',
            '[': 'BracketLeft', ']': 'BracketRight', '{': 'Quote', '}': 'Backslash', '\\': 'IntlBackslash',
        },
        dead: { '^': ['Equal'], '`': ['Equal', SHIFT], '~': ['Equal', ALTGR], '¨': ['BracketRight'] },
    },
    fr: {
        name: 'French',
        plain: ['²&é"\'(-è_çà)=', 'azertyuiop $*', 'qsdfghjklmù', '<wxcvbn,;:!'],
        shift: [' 1234567890°+', 'AZERTYUIOP £µ', 'QSDFGHJKLM%', '>WXCVBN?./§'],
        altgr: {
            '~': 'Digit2', '#': 'Digit3', '{': 'Digit4', '[': 'Digit5', '|': 'Digit6', '`': 'Digit7', '\\': 'Digit8',
            '^': 'Digit9', '@': 'Digit0', ']': 'Minus', '}': 'Equal', '€': 'KeyE',
        },
        dead: { '¨': ['BracketLeft', SHIFT] },
    },
    es: {
        name: 'Spanish',
        plain: ["º1234567890'¡", 'qwertyuiop +ç', 'asdfghjklñ ', '<zxcvbnm,.-'],
        shift: ['ª!"·$%&/()=?¿', 'QWERTYUIOP *Ç', 'ASDFGHJKLÑ ', '>ZXCVBNM;:_'],
        altgr: {
            '\\': 'Backquote', '|': 'Digit1', '@': 'Digit2', '#': 'Digit3', '~': 'Digit4', '¬': 'Digit6', '€': 'KeyE',
            '[': 'BracketLeft', ']': 'BracketRight', '}': 'Backslash', '{': 'Quote',
        },
        dead: { '`': ['BracketLeft'], '^': ['BracketLeft', SHIFT], '´': ['Quote'], '¨': ['Quote', SHIFT] },
    },
    it: {
        name: 'Italian',
        plain: ["\\1234567890'ì", 'qwertyuiopè+ù', 'asdfghjklòà', '<zxcvbnm,.-'],
        shift: ['|!"£$%&/()=?^', 'QWERTYUIOPé*§', 'ASDFGHJKLç°', '>ZXCVBNM;:_'],
        altgr: {
            '[': 'BracketLeft', ']': 'BracketRight', '@': 'Semicolon', '#': 'Quote', '€': 'KeyE',
            '{': 'Digit7', '}': 'Digit0', '`': 'Minus', '~': 'Equal',
        },
    },
    se: {
        name: 'Swedish, Finnish',
        plain: ['§1234567890+ ', "qwertyuiopå '", 'asdfghjklöä', '<zxcvbnm,.-'],
        shift: ['½!"#¤%&/()=? ', 'QWERTYUIOPÅ *', 'ASDFGHJKLÖÄ', '>ZXCVBNM;:_'],
        altgr: {
            '@': 'Digit2', '£': 'Digit3', '$': 'Digit4', '€': 'KeyE', '{': 'Digit7', '[': 'Digit8', ']': 'Digit9',
            '}': 'Digit0', '\\': 'Minus', '|': 'IntlBackslash', 'µ': 'KeyM',
        },
        dead: {
            '´': ['Equal'], '`': ['Equal', SHIFT], '¨': ['BracketRight'], '^': ['BracketRight', SHIFT],
            '~': ['BracketRight', ALTGR],
        },
    },
};

const SPACE = [0x20, 'Space'];
const keysym = (character) => keysyms.lookup(character.codePointAt(0));

/* Character -> chords: what to press together, one after the other. */
function table({ plain, shift, altgr = {}, dead = {} }) {
    const chords = new Map([[' ', [[SPACE]]], ['\n', [[ENTER]]], ['\t', [[TAB]]]]);
    for (const [rows, modifiers] of [[plain, []], [shift, [SHIFT]]]) {
        rows.forEach((row, r) => [...row].forEach((character, column) => {
            if (!chords.has(character)) {
                chords.set(character, [[...modifiers, [keysym(character), ROWS[r][column]]]]);
            }
        }));
    }
    for (const [character, code] of Object.entries(altgr)) {
        chords.set(character, [[ALTGR, [keysym(character), code]]]);
    }
    for (const [character, [code, ...modifiers]] of Object.entries(dead)) {
        chords.set(character, [[...modifiers, [keysym(character), code]], [SPACE]]);
    }
    return chords;
}

const TABLES = new Map(Object.entries(LAYOUTS).map(([id, layout]) => [id, table(layout)]));

/** `[id, name]` of every layout that text can be typed for. */
export const NAMES = Object.entries(LAYOUTS).map(([id, { name }]) => [id, name]);

/**
 * The keys for each character of a text: `{chords: [[[keysym, code], ...], ...], known}`.
 *
 * A character that the layout lacks goes as its keysym alone: servers other than QEMU type it all the same.
 * Other control characters are left out.
 */
export function spell(text, layout = 'us') {
    const keys = TABLES.get(layout) ?? TABLES.get('us');
    const spelt = [];
    for (const character of text.normalize('NFC').replace(/\r\n?/g, '\n')) {
        const chords = keys.get(character);
        if (chords) {
            spelt.push({ chords, known: true });
        } else if (!/[\u0000-\u001f\u007f-\u009f]/.test(character)) {
            spelt.push({ chords: [[[keysym(character), null]]], known: false });
        }
    }
    return spelt;
}
