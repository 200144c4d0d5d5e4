import assert from 'node:assert/strict';
import { test } from 'node:test';
import XtScancode from '../node_modules/@novnc/novnc/core/input/xtscancodes.js';
import { COMBINATIONS, CONSOLES, CTRL_ALT_DEL, DESTRUCTIVE, ENTER, HOLD, ROW, strokes, SYSRQS } from '../src/keys.js';
import { LIMIT, obstacle, wellFormed } from '../src/cliptext.js';
import { NAMES, spell } from '../src/layouts.js';
import { difference } from '../src/touch.js';
import { Typist } from '../src/typist.js';
import { scaled } from '../src/zoom.js';

const all = [...COMBINATIONS, ...CONSOLES, ...SYSRQS, ...DESTRUCTIVE];

test('every key has a keysym and a code that QEMU’s scan codes know', () => {
    for (const [keysym, code] of [...all.flatMap(({ keys }) => keys), ...HOLD.map(({ key }) => key),
        ...ROW.filter(({ key }) => key).map(({ key }) => key)]) {
        assert.ok(Number.isInteger(keysym) && keysym > 0, code);
        assert.ok(XtScancode[code], code);
    }
    assert.equal(CONSOLES.length, 12);
});

test('keys go down in order and up in the reverse', () => {
    assert.deepEqual(strokes(CTRL_ALT_DEL), [
        [0xffe3, 'ControlLeft', true], [0xffe9, 'AltLeft', true], [0xffff, 'Delete', true],
        [0xffff, 'Delete', false], [0xffe9, 'AltLeft', false], [0xffe3, 'ControlLeft', false],
    ]);
});

test('every layout spells what its keyboard prints, with codes that QEMU knows', () => {
    const ascii = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join('');
    for (const [id] of NAMES) {
        const spelt = spell(`${ascii}\n\t`, id);
        // a Cyrillic or Greek keyboard has digits and no Latin letters
        const letters = !['bg', 'bg-phonetic', 'by', 'gr', 'ru', 'ua'].includes(id);
        assert.ok(spelt.every(({ known }, i) => known || (!letters && /\D/.test(ascii[i]))), id);
        for (const [keysym, code] of spelt.filter(({ known }) => known).flatMap(({ chords }) => chords.flat())) {
            assert.ok(keysym > 0 && XtScancode[code], `${id} ${code}`);
        }
    }
});

test('there are the layouts that people ask for, and an unknown one is an error', () => {
    const wanted = ('us gb de ch ch-fr at fr be es latam it pt br nl dk no se fi is pl cz sk hu si hr ro tr gr ru ua jp ca')
        .split(' ');
    const ids = NAMES.map(([id]) => id);
    assert.deepEqual(wanted.filter((id) => !ids.includes(id)), []);
    assert.throws(() => spell('a', 'xx'), RangeError);
    assert.throws(() => spell('a', 'toString'), RangeError);
});

test('an accented letter that has no key takes a dead key', () => {
    const codes = (text, layout) => spell(text, layout).map(
        ({ chords }) => chords.map((chord) => chord.map(([, code]) => code).join('+')).join(' '));
    assert.deepEqual(codes('óÁü', 'es'), ['Quote KeyO', 'Quote ShiftLeft+KeyA', 'ShiftLeft+Quote KeyU']);
    assert.deepEqual(codes('o\u0301', 'es'), ['Quote KeyO']); // decomposed in the text
    assert.deepEqual(codes('ñç', 'es'), ['Semicolon', 'Backslash']); // a key of its own is preferred
    assert.deepEqual(codes('^~`', 'pt'), ['ShiftLeft+Backslash Space', 'Backslash Space', 'ShiftLeft+BracketRight Space']);
    assert.deepEqual(codes('ΐ', 'gr'), ['Semicolon ShiftLeft+Semicolon KeyI']); // two marks
    assert.equal(spell('ó', 'es')[0].chords[0][0][0], 0xfe51); // XK_dead_acute
    assert.equal(spell('ó', 'us')[0].known, false);
    // the dead key of a mark that is not part of a letter would change the next letter
    assert.deepEqual(spell('q\u0301a', 'es').map(({ known }) => known), [true, false, true]);
    assert.equal(spell('<', 'us')[0].chords[0][1][1], 'Comma'); // not the key that US keyboards lack
});

test('a capital takes Shift; layouts differ', () => {
    assert.deepEqual(spell('H')[0].chords[0], [[0xffe1, 'ShiftLeft'], [0x48, 'KeyH']]);
    assert.equal(spell('z', 'us')[0].chords[0][0][1], 'KeyZ');
    assert.equal(spell('z', 'de')[0].chords[0][0][1], 'KeyY');
    assert.deepEqual(spell('@', 'de')[0].chords[0].map(([, code]) => code), ['AltRight', 'KeyQ']);
    assert.deepEqual(spell('^', 'de')[0].chords.map(([[, code]]) => code), ['Backquote', 'Space']); // a dead key
    assert.deepEqual(spell('1', 'fr')[0].chords[0].map(([, code]) => code), ['ShiftLeft', 'Digit1']);
});

test('line ends are one Enter; control characters are left out; others are sent as keysyms', () => {
    assert.deepEqual(spell('\r\n\r\n').map(({ chords }) => chords[0][0][1]), ['Enter', 'Enter']);
    assert.deepEqual(spell('\u0000\u001b\u007f'), []);
    assert.deepEqual(spell('€', 'us'), [{ chords: [[[0x20ac, null]]], known: false }]);
    assert.equal(spell('😀')[0].chords[0][0][0], 0x0101f600);
});

test('typing presses and releases each key, waits for each event, and reports how far it is', async () => {
    const sent = [];
    const waits = [];
    const typist = new Typist((...event) => sent.push(event) > 0, async (ms) => waits.push(ms));
    const progress = [];
    assert.equal(await typist.type('aB\n', 'us', (...step) => progress.push(step)), true);
    assert.deepEqual(sent.map(([, code, down]) => `${down ? '+' : '-'}${code}`), [
        '+KeyA', '-KeyA', '+ShiftLeft', '+KeyB', '-KeyB', '-ShiftLeft', '+Enter', '-Enter',
    ]);
    assert.ok(waits[1] > waits[0] && waits[2] > waits[1]);
    assert.deepEqual(progress, [[1, 3], [2, 3], [3, 3]]);
});

test('typing stops when it is stopped, and when keys are not accepted', async () => {
    const sent = [];
    const typist = new Typist((...event) => sent.push(event) > 0, async () => typist.stop());
    assert.equal(await typist.type('abc'), false);
    assert.equal(sent.length, 2);
    assert.equal(await new Typist(() => false, async () => {}).type('abc'), false);
});

test('a text can have more keys than a call can have arguments', async () => {
    const sent = [];
    const typist = new Typist((...event) => sent.push(event[1]) > 0, async () => typist.stop());
    assert.equal(await typist.type('a'.repeat(300_000), 'us'), false);
    typist.press(spell('b', 'us')[0].chords);
    await new Promise(setImmediate);
    assert.deepEqual(sent, ['KeyA', 'KeyA', 'KeyB', 'KeyB']);
});

test('keys pressed meanwhile come after the text, and are discarded with it', async () => {
    const sent = [];
    const typist = new Typist((...event) => event[2] && sent.push(event[1]) || true, async () => {});
    const typed = typist.type('ab');
    typist.press([[ENTER]]);
    await typed;
    await new Promise(setImmediate);
    assert.deepEqual(sent, ['KeyA', 'KeyB', 'Enter']);
    const stopped = new Typist((...event) => event[2] && sent.push(event[1]) || true, async () => stopped.stop());
    const stop = stopped.type('cd');
    stopped.press([[ENTER]]);
    assert.equal(await stop, false);
    assert.deepEqual(sent.slice(3), ['KeyC']);
});

/* A typist whose pauses end one by one, and what it sends: '+KeyA' pressed, '-KeyA' released. */
function paced() {
    const sent = [];
    const pauses = [];
    const send = (_keysym, code, down) => Boolean(sent.push(`${down ? '+' : '-'}${code}`));
    const typist = new Typist(send, () => new Promise((done) => pauses.push(done)));
    const rest = async () => {
        while (pauses.length) {
            pauses.shift()();
            await new Promise(setImmediate);
        }
    };
    return { sent, typist, rest };
}

const CTRL = HOLD.find(({ name }) => name === 'Ctrl').key;

test('modifiers and combinations do not overtake letters that wait', async () => {
    const { sent, typist, rest } = paced();
    spell('ph', 'us').forEach(({ chords }) => typist.press(chords));
    typist.hold(CTRL, true);
    typist.press(spell('c', 'us')[0].chords);
    typist.hold(CTRL, false);
    typist.press([CTRL_ALT_DEL], null);
    assert.deepEqual(sent, ['+KeyP', '-KeyP']);
    await rest();
    assert.deepEqual(sent.slice(2), [
        '+KeyH', '-KeyH', '+ControlLeft', '+KeyC', '-KeyC', '-ControlLeft',
        '+ControlLeft', '+AltLeft', '+Delete', '-Delete', '-AltLeft', '-ControlLeft',
    ]);
});

test('a stop discards a modifier that waits to be pressed, and releases one that waits to be released', async () => {
    const { sent, typist, rest } = paced();
    const dropped = [];
    typist.hold(CTRL, true, () => dropped.push('first'));
    typist.press(spell('c', 'us')[0].chords);
    typist.hold(CTRL, false);
    typist.hold(CTRL, true, () => dropped.push('second'));
    typist.stop();
    assert.deepEqual(sent, ['+ControlLeft', '-ControlLeft']);
    await rest();
    assert.equal(sent.length, 2);
    assert.deepEqual(dropped, ['second']);
    new Typist(() => false, async () => {}).hold(CTRL, true, () => dropped.push('not accepted'));
    assert.deepEqual(dropped, ['second', 'not accepted']);
});

test('every key of a text asks for Caps Lock to be off', async () => {
    const sent = [];
    await new Typist((...event) => sent.push(event[3]) > 0, async () => {}).type('aB\n');
    assert.ok(sent.length > 0 && sent.every((capsLock) => capsLock === false));
});

test('a clipboard text is judged by what the server accepts', () => {
    assert.equal(obstacle('é\n', false), null);
    assert.deepEqual(obstacle('', true), { why: 'empty' });
    assert.deepEqual(obstacle('a€漢😀', false), { why: 'foreign', count: 3 });
    assert.equal(obstacle('a€漢😀', true), null);
    assert.equal(obstacle('x'.repeat(LIMIT), false), null);
    assert.deepEqual(obstacle('x'.repeat(LIMIT + 1), false), { why: 'long', bytes: LIMIT + 1 });
    assert.equal(obstacle('é'.repeat(LIMIT / 2 - 3), true), null);
    assert.equal(obstacle('é'.repeat(LIMIT / 2 - 2), true).why, 'long'); // with 5 bytes of overhead
    assert.equal(obstacle('\n'.repeat(LIMIT / 2), true).why, 'long'); // each becomes CR LF
    assert.deepEqual(obstacle('hello!', false, 5), { why: 'long', bytes: 6 }); // the proxy's limit
    assert.equal(wellFormed('a\ud800b😀'), 'a\ufffdb😀');
});

test('two fingers enlarge within limits, and shrink no further than the whole picture', () => {
    assert.equal(scaled(1, 100, 200), 2);
    assert.equal(scaled(2, 100, 40), 1);
    assert.equal(scaled(4, 10, 1000), 8);
    assert.equal(scaled(1, 0, 5), 5);
});

test('what a phone’s keyboard changed in the field becomes backspaces and text', () => {
    assert.deepEqual(difference('    ', '    a'), { backspaces: 0, added: 'a' });
    assert.deepEqual(difference('    teh', '    the '), { backspaces: 2, added: 'he ' });
    assert.deepEqual(difference('    ', '   '), { backspaces: 1, added: '' });
    assert.deepEqual(difference('  😀', '  😃'), { backspaces: 1, added: '😃' });
});
