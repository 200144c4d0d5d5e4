import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Paused } from '../src/paused.js';

function made() {
    const told = [];
    const timers = [];
    const paused = new Paused((message) => told.push(message), () => {}, (work, ms) => timers.push([ms, work]), () => timers.splice(0));
    const run = () => timers.shift()[1]();
    return { paused, told, timers, run };
}

test('a proxy without a channel is not asked', () => {
    const { paused, told, timers } = made();
    paused.watch(true);
    assert.deepEqual([told, timers], [[], []]);
});

test('the proxy is asked while keys change nothing', () => {
    const { paused, told, timers, run } = made();
    paused.receive({ type: 'rights' });
    assert.deepEqual(timers, []);
    paused.watch(true);
    paused.watch(true);
    run();
    assert.deepEqual([told, timers], [[{ type: 'state' }], []]);
    paused.receive({ type: 'server', state: 'paused' });
    assert.equal(paused.paused, true);
    paused.watch(false); // the screen may change once more
    assert.equal(timers[0][0], 5000);
    run();
    assert.equal(told.length, 2);
    paused.receive({ type: 'server', state: 'running' });
    assert.deepEqual([paused.paused, timers], [false, []]);
});

test('a guest sees no list of servers', () => {
    const { paused } = made();
    for (const shares of [false, true]) {
        paused.receive({ type: 'rights', shares });
        assert.equal(paused.guest, !shares);
    }
});

test('a server that is paused when the session begins', () => {
    const { paused, timers } = made();
    paused.receive({ type: 'server', state: 'paused' });
    assert.deepEqual([paused.paused, timers.length], [true, 1]);
    paused.reset();
    assert.deepEqual([paused.paused, timers], [false, []]);
});

test('for a user who only watches, the page asks every half minute', () => {
    const { paused, told, timers, run } = made();
    paused.receive({ type: 'rights', mode: 'view' });
    assert.deepEqual([told, timers[0][0]], [[], 30000]);
    run();
    paused.receive({ type: 'server', state: 'paused' });
    assert.deepEqual([paused.paused, told.length, timers[0][0]], [true, 1, 5000]);
    run();
    paused.receive({ type: 'server', state: 'running' });
    assert.deepEqual([paused.paused, timers[0][0]], [false, 30000]);
    paused.receive({ type: 'rights', mode: 'control' }); // control was handed over
    run();
    assert.deepEqual([told.length, timers], [2, []]);
});
