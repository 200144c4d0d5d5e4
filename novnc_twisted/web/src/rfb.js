/*
 * noVNC's RFB, without H.264.
 *
 * noVNC 1.7.0 leaves the picture frozen, with no error, when a browser cannot decode a rectangle of it.  So it is not
 * offered to the server.  See docs: RFC 6143, section 7.5.2, and the registered encoding 50.
 */
import RFB from '@novnc/novnc';

const H264 = 50;
const { clientEncodings } = RFB.messages;

RFB.messages.clientEncodings = (socket, encodings) =>
    clientEncodings(socket, encodings.filter((encoding) => encoding !== H264));

export default RFB;
