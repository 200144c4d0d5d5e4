import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InputGate } from '../src/gate.js';

const bytes = (...numbers) => new Uint8Array(numbers);
const key = (keysym, down) => bytes(4, Number(down), 0, 0, 0, 0, 0, keysym);
const qemuKey = (code, down) => bytes(255, 0, 0, Number(down), 0, 0, 0, 0x61, 0, 0, 0, code);
const pointer = (buttons, x = 5) => bytes(5, buttons, 0, x, 0, 5);
const request = bytes(3, 1, 0, 0, 0, 0, 0, 1, 0, 1);
const text = bytes(6, 0, 0, 0, 0, 0, 0, 1, 0x61);

const PASSED = { input: true, pass: true };
const DROPPED = { input: true, pass: false };
const OTHER = { input: false, pass: true };

/** The gate's result for a message, without `key`, which is checked here. */
function judge(gate, message) {
    const { key, ...rest } = gate.judge(message);
    assert.equal(key, [4, 255].includes(message[0]));
    return rest;
}

test('while it is open, everything passes, and input is distinguished from the rest', () => {
    const gate = new InputGate();
    for (const message of [key(97, true), key(97, false), qemuKey(30, true), pointer(1), pointer(0), text]) {
        assert.deepEqual(judge(gate, message), PASSED);
    }
    for (const message of [request, bytes(0), bytes(2, 0, 0, 0), bytes(248), bytes(150), bytes(251)]) {
        assert.deepEqual(judge(gate, message), OTHER);
    }
});

test('while it is shut no input passes, and the rest does', () => {
    const gate = new InputGate();
    gate.open = false;
    for (const message of [key(97, true), key(97, false), qemuKey(30, true), qemuKey(30, false), pointer(0), pointer(1), text]) {
        assert.deepEqual(judge(gate, message), DROPPED);
    }
    assert.deepEqual(judge(gate, request), OTHER);
    gate.open = true;
    assert.deepEqual(judge(gate, key(97, true)), PASSED);
});

test('a long text, which comes in pieces, passes whole or not at all', () => {
    for (const length of [20, -20]) { // negative: extended clipboard
        const header = [6, 0, 0, 0, ...new Uint8Array(new Int32Array([length]).buffer).reverse()];
        for (const open of [true, false]) {
            const gate = new InputGate();
            gate.open = open;
            const pieces = [bytes(...header, 0x61), bytes(4, ...Array(9).fill(0x61)), bytes(...Array(9).fill(0x61))];
            for (const piece of pieces) {
                assert.deepEqual(gate.judge(piece), { input: true, key: false, pass: open });
            }
            assert.deepEqual(judge(gate, request), OTHER);
            assert.deepEqual(judge(gate, key(97, true)), open ? PASSED : DROPPED);
        }
    }
});

test('the release of a key that was down passes once', () => {
    for (const make of [key, qemuKey]) {
        const gate = new InputGate();
        gate.judge(make(30, true));
        gate.open = false;
        assert.deepEqual(judge(gate, make(30, true)), DROPPED); // it repeats
        assert.deepEqual(judge(gate, make(31, false)), DROPPED);
        assert.deepEqual(judge(gate, make(30, false)), PASSED);
        assert.deepEqual(judge(gate, make(30, false)), DROPPED);
    }
});

test('a mouse button that was held is released; buttons beyond the seventh are known', () => {
    for (const held of [pointer(4), bytes(5, 0x80, 0, 1, 0, 1, 1)]) {
        const gate = new InputGate();
        gate.judge(held);
        gate.open = false;
        assert.deepEqual(judge(gate, held), DROPPED);
        assert.deepEqual(judge(gate, pointer(0)), PASSED);
        assert.deepEqual(judge(gate, pointer(0)), DROPPED);
    }
});
