import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Store } from '../src/list/store.js';

const session = (id, server, user) => ({ id, server_id: server, user_id: user });

test('who is on a server, after each change', () => {
    const store = new Store();
    store.fill([], { found: [session('1', 'a', 'zoe'), session('2', 'a', 'bob'), session('3', 'a', 'bob'), session('4', 'b', null)], more: true });
    assert.deepEqual(['a', 'b', 'c'].map((id) => store.users(id)), [['bob', 'zoe'], ['?'], []]);
    assert.equal(store.crowded, true);
    store.apply('sessions', { changed: [session('5', 'c', 'amy')], removed: ['1', '4'] });
    assert.deepEqual(['a', 'b', 'c'].map((id) => store.users(id)), [['bob'], [], ['amy']]);
    store.fill([], { found: [], more: false });
    assert.deepEqual([store.users('a'), store.crowded], [[], false]);
});

test('events that arrive while everything is read are newer, and an older read is ignored', async () => {
    const store = new Store();
    const status = () => [...store.servers.values()].map((each) => each.status);
    const off = [[{ id: 'a', status: 'SHUTOFF' }], { found: [], more: false }];
    await store.load(async () => {
        store.apply('servers', { changed: [{ id: 'a', status: 'ACTIVE' }], removed: [] });
        return off;
    });
    assert.deepEqual(status(), ['ACTIVE']);
    let answer;
    const older = store.load(() => new Promise((resolve) => { answer = resolve; }));
    await store.load(async () => [[{ id: 'a', status: 'PAUSED' }], { found: [], more: false }]);
    answer(off);
    await older;
    assert.deepEqual(status(), ['PAUSED']);
    await assert.rejects(store.load(async () => { throw new Error('no answer'); }), /no answer/);
});
