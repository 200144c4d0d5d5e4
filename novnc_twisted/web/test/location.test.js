import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasToken, isOwnWindow, ownWindowURL, socketURL, titleOf, viewOptions } from '../src/location.js';

const CASES = [
    ['http://h:6080/vnc_auto.html?token=T', 'ws://h:6080/websockify?token=T'],
    ['https://h/vnc_auto.html?token=T', 'wss://h/websockify?token=T'],
    ['http://h/vnc_lite.html?path=%3Ftoken%3DT', 'ws://h/?token=T'],
    ['http://h/vnc.html?autoconnect=1&path=%3Ftoken%3DT', 'ws://h/?token=T'],
    ['http://h/vnc.html?autoconnect=true&path=websockify%3Ftoken%3DT', 'ws://h/websockify?token=T'],
    ['http://h/vnc.html?path=&token=T', 'ws://h/?token=T'],
    ['http://h/vnc.html?path=a/b&token=T', 'ws://h/a/b?token=T'],
    ['http://h/vnc.html?path=a%3Fx%3D1&token=T', 'ws://h/a?x=1&token=T'],
    ['http://h/vnc.html?path=%3Ftoken%3DP&token=Q', 'ws://h/?token=P'],
    ['http://h/vnc.html?path=%3Ftoken%3D&token=Q', 'ws://h/?token=Q'],
    ['http://h/vnc_auto.html?token=A&token=B', 'ws://h/websockify?token=B'],
    ['http://h/vnc_auto.html', 'ws://h/websockify'],
    ['http://h/vnc_auto.html?token=', 'ws://h/websockify'],
    ['http://h/vnc_auto.html?token=a%2Bb%26c', 'ws://h/websockify?token=a%2Bb%26c'],
    ['http://[::1]:6080/vnc_auto.html?token=T', 'ws://[::1]:6080/websockify?token=T'],
    // below a reverse proxy's prefix
    ['https://h/console/vnc_auto.html?token=T', 'wss://h/console/websockify?token=T'],
    ['https://h/console/vnc_lite.html?path=/ws%3Ftoken%3DT', 'wss://h/ws?token=T'],
    ['https://h/console/vnc_lite.html?path=console/websockify%3Ftoken%3DT', 'wss://h/console/websockify?token=T'], // nova 2025.1
    ['https://h/console/vnc_lite.html?path=console/websockify&token=T', 'wss://h/console/websockify?token=T'],
    ['https://h/a/b/vnc.html?path=ws%3Ftoken%3DT', 'wss://h/ws?token=T'],
    ['https://h/console/vnc_lite.html?path=%3Ftoken%3DT', 'wss://h/console/?token=T'],
    // always the page's own host
    ['http://h/vnc.html?host=evil&port=1&token=T', 'ws://h/websockify?token=T'],
    ['http://h/vnc.html?path=//evil/x&token=T', 'ws://h/evil/x?token=T'],
    ['http://h/vnc.html?path=%5C%5Cevil/x&token=T', 'ws://h/evil/x?token=T'],
    ['http://h/vnc.html?path=ws://evil/x&token=T', 'ws://h/ws://evil/x?token=T'],
    ['http://h/vnc.html?path=@evil/x&token=T', 'ws://h/@evil/x?token=T'],
    ['http://h/vnc.html?path=/..//evil&token=T', 'ws://h//evil?token=T'],
    ['http://h/vnc_auto.html?token=T#fragment', 'ws://h/websockify?token=T'],
];

for (const [page, socket] of CASES) {
    test(`${page} connects to ${socket}`, () => {
        const url = new URL(socketURL(page));
        assert.equal(url.href, socket);
        assert.equal(url.host, new URL(page).host);
        assert.equal(url.hash, '');
    });
}

test('the view is read in stock noVNC’s words', () => {
    assert.deepEqual(viewOptions('http://h/?resize=off&view_only=true&logging=debug'), {
        picture: 'original', viewOnly: true, logging: 'debug',
    });
    assert.deepEqual(viewOptions('http://h/?resize=scale&view_only=0&logging=__proto__'), {
        picture: 'scale', viewOnly: false, logging: 'none',
    });
    assert.equal(viewOptions('http://h/?resize=remote').picture, 'remote');
    assert.equal(viewOptions('http://h/?resize=__proto__').picture, 'scale');
    assert.deepEqual(viewOptions('http://h/'), { picture: null, viewOnly: false, logging: 'none' });
});

test('a token is found in the query and in the path', () => {
    for (const query of ['token=T', 'path=%3Ftoken%3DT', 'path=ws%3Ftoken%3DT&token=', 'path=x&token=T']) {
        assert.equal(hasToken(`http://h/vnc_auto.html?${query}`), true, query);
    }
    for (const query of ['', 'token=', 'path=%3Ftoken%3D', 'path=token', 'tokens=T']) {
        assert.equal(hasToken(`http://h/?${query}`), false, query);
    }
});

test('the title that Horizon appends is the name, without the id', () => {
    const id = '7db2db49-0879-4c3e-bb7f-b156b9f93be1';
    for (const [address, title] of [
        [`vnc_auto.html?token=T&title=myserver20(${id})`, 'myserver20'],
        [`vnc_auto.html?token=T&title=my+server%20%28${id.toUpperCase()}%29`, 'my server'],
        [`vnc_auto.html?path=%3Ftoken%3DT&title=a%26b(${id})`, 'a&b'],
        [`vnc_auto.html&title=myserver20(${id})`, 'myserver20'],
        [`console/T&title=myserver20(${id})`, 'myserver20'],
        [`vnc_auto.html#T&title=x`, 'x'],
        ['vnc_auto.html?title=a&title=b', 'b'],
        ['vnc_auto.html?token=T&title=name (7)', 'name (7)'],
        [`vnc_auto.html?token=T&title=(${id})`, ''],
        ['vnc_auto.html?token=T', ''],
        ['vnc_auto.html?title=', ''],
        ['vnc_auto.html?subtitle=x', ''],
    ]) {
        assert.equal(titleOf(`http://h/${address}`), title, address);
    }
    assert.equal(socketURL(`http://h/vnc_auto.html?token=T&title=x(${id})`), 'ws://h/websockify?token=T');
});

test('a window of its own has the same address, and is known by its fragment', () => {
    const own = ownWindowURL('http://h/vnc_auto.html?token=T&title=x');
    assert.equal(own, 'http://h/vnc_auto.html?token=T&title=x#window');
    assert.equal(isOwnWindow(own), true);
    assert.equal(isOwnWindow('http://h/vnc_auto.html?token=T'), false);
    assert.equal(socketURL(own), 'ws://h/websockify?token=T');
});
