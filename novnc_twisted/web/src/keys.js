/*
 * Keys that a browser or its system would keep for itself, as what RFB sends: [keysym, DOM code] pairs.  Pure.
 *
 * Both are given: QEMU goes by the code (extended key events), other servers by the keysym.
 */
import KeyTable from '../node_modules/@novnc/novnc/core/input/keysym.js';
import { sysrq } from './strings.js';

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

/** Modifiers that can be held down until they are let go. */
export const HOLD = [
    { name: 'Ctrl', key: CTRL },
    { name: 'Alt', key: ALT },
    { name: 'Shift', key: SHIFT },
    { name: 'Super', key: SUPER },
];

export const COMBINATIONS = [
    { name: 'Ctrl+Alt+Del', keys: CTRL_ALT_DEL },
    { name: 'Ctrl+Alt+Bksp', keys: [CTRL, ALT, BACKSPACE] },
    { name: 'Alt+Tab', keys: [ALT, TAB] },
    { name: 'Alt+F4', keys: [ALT, f(4)] },
    { name: 'Ctrl+Esc', keys: [CTRL, ESCAPE] },
    { name: 'Ctrl+W', keys: [CTRL, letter('w')] },
    { name: 'Super', keys: [SUPER] },
    { name: 'Super+L', keys: [SUPER, letter('l')] },
    { name: 'Esc', keys: [ESCAPE] },
    { name: 'Tab', keys: [TAB] },
    { name: 'PrtScn', keys: [PRINT] },
    { name: 'F11', keys: [f(11)] },
];

export const CONSOLES = Array.from({ length: 12 }, (_, i) => ({ name: `F${i + 1}`, keys: [CTRL, ALT, f(i + 1)] }));

/** Linux's Magic SysRq letters, in the order of the known mnemonic, and help. */
export const SYSRQS = [...'reisubh'].map((c) => ({
    name: c.toUpperCase(), means: sysrq[c], keys: [ALT, SYSRQ, letter(c)],
}));

/** What to send for keys pressed in order and let go in the reverse order: `[keysym, code, down]`. */
export function strokes(keys) {
    const down = keys.map(([keysym, code]) => [keysym, code, true]);
    const up = [...keys].reverse().map(([keysym, code]) => [keysym, code, false]);
    return [...down, ...up];
}
