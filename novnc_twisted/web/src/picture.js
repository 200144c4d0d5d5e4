/*
 * The picture: saved as a file, sharp at whole zoom factors, and whether it is black.
 */

const NEAR = 0.01; // tolerance of a factor, for rounding to whole pixels

/** Whether each pixel is enlarged by the same whole number. */
export function whole(shown, pixels, ratio) {
    const factor = shown * ratio / pixels;
    return factor > 1 - NEAR && Math.abs(factor - Math.round(factor)) < NEAR;
}

/** Keep the canvas sharp at whole factors. */
export function keepSharp(canvas) {
    new ResizeObserver(() => {
        canvas.classList.toggle('sharp', whole(canvas.clientWidth, canvas.width, window.devicePixelRatio));
    }).observe(canvas);
}

const SAMPLE = { width: 160, height: 100 }; // pixels
const DARK = 24; // of 255: lossy compression can make black this bright

/** Whether a canvas is black all over, or has no picture yet. */
export function black(canvas) {
    if (!canvas?.width || !canvas.height) {
        return true;
    }
    const { width, height } = SAMPLE;
    // A copy: reading the canvas itself would move it out of the memory of the graphics card.
    const copy = Object.assign(document.createElement('canvas'), SAMPLE).getContext('2d', { alpha: false, willReadFrequently: true });
    copy.imageSmoothingQuality = 'medium'; // so that even one line of text on a large screen is found
    copy.drawImage(canvas, 0, 0, width, height);
    return copy.getImageData(0, 0, width, height).data.every((value, i) => i % 4 === 3 || value <= DARK);
}

/** A name for the file. */
export function fileName(server, now) {
    const safe = server.replace(/[^\p{L}\p{N}._-]+/gu, '-').replace(/^[.-]+|-+$/g, '') || 'console';
    return `${safe}-${now.toISOString().slice(0, 19).replace(/[:T]/g, '-')}.png`;
}

/** Save noVNC's picture as a PNG file. */
export function save(rfb, server) {
    rfb.toBlob((blob) => {
        const link = document.createElement('a');
        link.href = URL.createObjectURL(blob);
        link.download = fileName(server, new Date());
        link.click();
        setTimeout(() => URL.revokeObjectURL(link.href), 60000); // the browser may read it late
    }, 'image/png');
}
