/*
 * The worker of timer.js: answers `[number, ms]` with the number, after `ms`.
 */
addEventListener('message', ({ data: [number, ms] }) => setTimeout(() => postMessage(number), ms));
