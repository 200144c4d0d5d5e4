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
