import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Meter } from '../src/meter.js';
import { fileName, whole } from '../src/picture.js';

test('the delays of network and server are separate', () => {
    const meter = new Meter(0);
    assert.ok(meter.ask(1000));
    assert.ok(!meter.ask(1500)); // the questions are still open
    meter.heard(1040, 0);
    assert.equal(meter.server, null);
    meter.heard(1100, 200);
    assert.deepEqual([meter.network, meter.server], [40, 60]);
    assert.ok(meter.ask(2000));
    meter.heard(2030, 200); // a picture that was on its way
    meter.heard(2050, 0);
    assert.deepEqual([meter.network, meter.server], [50, 0]);
});

test('without the proxy’s answer, the delays are unknown', () => {
    const meter = new Meter(0);
    meter.ask(0);
    meter.heard(80, 100);
    assert.deepEqual([meter.network, meter.server], [null, null]);
});

test('rates are those since the last call', () => {
    const meter = new Meter(0);
    meter.heard(10, 5000);
    meter.sent(100);
    assert.deepEqual(meter.rates(1000), { received: 5, sent: 0.1 });
    assert.deepEqual(meter.rates(2000), { received: 0, sent: 0 });
    assert.deepEqual(meter.rates(2000), { received: 0, sent: 0 });
});

test('pixels are sharp at whole factors only', () => {
    assert.ok(whole(640, 640, 1));
    assert.ok(whole(1280, 640, 1));
    assert.ok(whole(640, 640, 2));
    assert.ok(!whole(960, 640, 1));
    assert.ok(!whole(320, 640, 1));
});

test('a screenshot has a harmless name', () => {
    const now = new Date('2026-01-02T03:04:05Z');
    assert.equal(fileName('web 1/../x', now), 'web-1-..-x-2026-01-02-03-04-05.png');
    assert.equal(fileName('../', now), 'console-2026-01-02-03-04-05.png');
    assert.equal(fileName('サーバー', now), 'サーバー-2026-01-02-03-04-05.png');
});
