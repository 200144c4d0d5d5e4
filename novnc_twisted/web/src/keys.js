/*
 * Keys as [keysym, DOM code] pairs, and combinations that have buttons because a browser or its system intercepts them.
 *
 * QEMU uses the code (extended key events), other servers use the keysym.
 */
import KeyTable from '../node_modules/@novnc/novnc/core/input/keysym.js';
import { keys as names, sysrq, text } from './strings.js';

export const CTRL = [KeyTable.XK_Control_L, 'ControlLeft'];
export const ALT = [KeyTable.XK_Alt_L, 'AltLeft'];
export const ALTGR = [KeyTable.XK_ISO_Level3_Shift, 'AltRight'];
export const SHIFT = [KeyTable.XK_Shift_L, 'ShiftLeft'];
export const SUPER = [KeyTable.XK_Super_L, 'MetaLeft'];
export const ENTER = [KeyTable.XK_Return, 'Enter'];
export const TAB = [KeyTable.XK_Tab, 'Tab'];
export const ESCAPE = [KeyTable.XK_Escape, 'Escape'];
export const BACKSPACE = [KeyTable.XK_BackSpace, 'Backspace'];
export const DELETE = [KeyTable.XK_Delete, 'Delete'];
const PRINT = [KeyTable.XK_Print, 'PrintScreen'];
const SYSRQ = [KeyTable.XK_Sys_Req, 'PrintScreen'];

const f = (n) => [KeyTable[`XK_F${n}`], `F${n}`];
const letter = (c) => [c.charCodeAt(0), `Key${c.toUpperCase()}`];

export const CTRL_ALT_DEL = [CTRL, ALT, DELETE];

/** Modifiers that can be held down until they are released. */
export const HOLD = [
    { name: names.ctrl, key: CTRL },
    { name: 'Alt', key: ALT },
    { name: names.shift, key: SHIFT },
    { name: 'Super', key: SUPER },
];

export const COMBINATIONS = [
    { name: 'Alt+Tab', keys: [ALT, TAB] },
    { name: 'Alt+F4', keys: [ALT, f(4)] },
    { name: `${names.ctrl}+${names.esc}`, keys: [CTRL, ESCAPE] },
    { name: `${names.ctrl}+W`, keys: [CTRL, letter('w')] },
    { name: 'Super', keys: [SUPER] },
    { name: 'Super+L', keys: [SUPER, letter('l')] },
    { name: names.esc, keys: [ESCAPE] },
    { name: 'Tab', keys: [TAB] },
    { name: names.print, keys: [PRINT] },
    { name: 'F11', keys: [f(11)] },
];

export const CONSOLES = Array.from({ length: 12 }, (_, i) => ({ name: `F${i + 1}`, keys: [CTRL, ALT, f(i + 1)] }));

/* Linux's magic SysRq: Alt+SysRq and a letter. */
const magic = (c) => ({ name: sysrq[c], keys: [ALT, SYSRQ, letter(c)], note: `SysRq ${c.toUpperCase()}` });

/** Magic SysRq combinations that do no harm. */
export const SYSRQS = [...'rsh'].map(magic);

/** Combinations that end programs or restart the server: they are sent at a second click only. */
export const DESTRUCTIVE = [
    { name: text.cad, keys: CTRL_ALT_DEL },
    { name: names.endX, keys: [CTRL, ALT, BACKSPACE], note: `${names.ctrl}+Alt+${names.bksp}` },
    ...[...'eiub'].map(magic),
];

/** Keys that a phone's keyboard lacks, as `{name, label, key}`; modifiers as the `{name}` in HOLD. */
export const ROW = [
    { name: names.esc, key: ESCAPE },
    { name: 'Tab', key: TAB },
    { name: names.ctrl },
    { name: 'Alt' },
    { name: '←', label: names.left, key: [KeyTable.XK_Left, 'ArrowLeft'] },
    { name: '↑', label: names.up, key: [KeyTable.XK_Up, 'ArrowUp'] },
    { name: '↓', label: names.down, key: [KeyTable.XK_Down, 'ArrowDown'] },
    { name: '→', label: names.right, key: [KeyTable.XK_Right, 'ArrowRight'] },
    { name: names.home, key: [KeyTable.XK_Home, 'Home'] },
    { name: names.end, key: [KeyTable.XK_End, 'End'] },
    { name: names.pgUp, label: names.pageUp, key: [KeyTable.XK_Page_Up, 'PageUp'] },
    { name: names.pgDn, label: names.pageDown, key: [KeyTable.XK_Page_Down, 'PageDown'] },
    { name: names.ins, label: names.insert, key: [KeyTable.XK_Insert, 'Insert'] },
    { name: names.del, label: names.delete, key: DELETE },
    { name: names.shift },
    { name: 'Super' },
    ...Array.from({ length: 12 }, (_, i) => ({ name: `F${i + 1}`, key: f(i + 1) })),
];

/** The events for keys that are pressed in order and released in the reverse order: `[keysym, code, down]`. */
export function strokes(keys) {
    const down = keys.map(([keysym, code]) => [keysym, code, true]);
    const up = [...keys].reverse().map(([keysym, code]) => [keysym, code, false]);
    return [...down, ...up];
}
