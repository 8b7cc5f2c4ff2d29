// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT
//
// Bouncy Castle as a DTLS 1.2 peer with a pre-shared key, or with what is in $DICE_KEYS (see Keys.java). Arguments: role, port, identity, suite in hex, own connection id in hex or
// "none", how often a client connects; the key in hex comes in $DICE_PSK. A server answers with "echo" and the message, a client
// sends "ask BouncyCastle"; both print what they receive. A client sends each line of standard input; the line "move" makes it go on
// from another port. The end of standard input closes.

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.SocketTimeoutException;
import java.security.SecureRandom;
import java.util.HashMap;
import java.util.Hashtable;
import java.util.Map;
import org.bouncycastle.tls.*;
import org.bouncycastle.tls.crypto.impl.bc.BcTlsCrypto;
import org.bouncycastle.util.encoders.Hex;

public class BouncyCastle {
    static final BcTlsCrypto CRYPTO = new BcTlsCrypto(new SecureRandom());
    static final byte[] KEY = Hex.decode(System.getenv().getOrDefault("DICE_PSK", ""));
    static final ProtocolVersion[] VERSIONS = ProtocolVersion.DTLSv12.only();
    static byte[] identity;
    static int suite;
    static byte[] cid; // null: no connection ids; else of length 0 or more
    static volatile boolean closed; // by the peer of the session that there is

    /** UDP to one peer at a time. A server takes the address of the last datagram, and has a record layer to judge what came. */
    static class Wire implements DatagramTransport {
        volatile DatagramSocket socket;
        volatile SocketAddress peer;
        final boolean isServer;

        Wire(int port, boolean isServer) throws IOException {
            this.isServer = isServer;
            InetAddress host = InetAddress.getByName("127.0.0.1");
            socket = isServer ? new DatagramSocket(port, host) : new DatagramSocket(0, host);
            peer = isServer ? null : new InetSocketAddress(host, port);
        }

        void move() throws IOException {
            DatagramSocket old = socket;
            socket = new DatagramSocket(0, InetAddress.getByName("127.0.0.1"));
            old.close();
        }

        public int getReceiveLimit() { return 1500; }

        public int getSendLimit() { return 1400; }

        public int receive(byte[] buffer, int offset, int length, int waitMillis) throws IOException {
            DatagramPacket packet = new DatagramPacket(buffer, offset, length);
            DatagramSocket from = socket;
            try {
                from.setSoTimeout(Math.max(1, waitMillis));
                from.receive(packet);
            } catch (SocketTimeoutException nothing) {
                return -1;
            } catch (IOException error) {
                if (from == socket) throw error;
                return -1; // it has moved meanwhile
            }
            if (isServer) peer = packet.getSocketAddress();
            return packet.getLength();
        }

        public void send(byte[] buffer, int offset, int length) throws IOException {
            socket.send(new DatagramPacket(buffer, offset, length, peer));
        }

        public void close() { } // it outlives a session
    }

    static class Client extends PSKTlsClient {
        static TlsSession session;

        Client() { super(CRYPTO, identity, KEY); }

        protected ProtocolVersion[] getSupportedVersions() { return VERSIONS; }

        protected int[] getSupportedCipherSuites() { return new int[] {suite}; }

        protected byte[] getNewConnectionID() { return cid; }

        public TlsSession getSessionToResume() { return session; }

        public void notifyAlertReceived(short level, short alert) {
            super.notifyAlertReceived(level, alert);
            alert(alert);
        }

        public void notifyHandshakeComplete() throws IOException {
            super.notifyHandshakeComplete();
            connected(context.getSession());
        }
    }

    static class Server extends PSKTlsServer {
        static final Map<String, TlsSession> SESSIONS = new HashMap<>();

        Server() {
            super(CRYPTO, new TlsPSKIdentityManager() {
                public byte[] getHint() { return null; }

                public byte[] getPSK(byte[] asked) { return java.util.Arrays.equals(asked, identity) ? KEY : null; }
            });
        }

        protected ProtocolVersion[] getSupportedVersions() { return VERSIONS; }

        protected int[] getSupportedCipherSuites() { return new int[] {suite}; }

        protected byte[] getNewConnectionID() { return cid; }

        public byte[] getNewSessionID() { return newSessionId(); }

        public TlsSession getSessionToResume(byte[] id) { return SESSIONS.get(Hex.toHexString(id)); }

        public void notifyAlertReceived(short level, short alert) {
            super.notifyAlertReceived(level, alert);
            alert(alert);
        }

        public void notifyHandshakeComplete() throws IOException {
            super.notifyHandshakeComplete();
            remember(context.getSession());
        }
    }

    static void alert(short alert) {
        if (alert == AlertDescription.close_notify) closed = true;
        else System.out.println("alert " + alert);
    }

    static byte[] newSessionId() {
        byte[] id = new byte[16];
        new SecureRandom().nextBytes(id);
        return id;
    }

    /** A client's handshake is complete. */
    static void connected(TlsSession now) {
        boolean resumed = Client.session != null && java.util.Arrays.equals(Client.session.getSessionID(), now.getSessionID());
        Client.session = now.getSessionID().length > 0 ? now : null;
        System.out.println(resumed ? "resumed" : "connected");
    }

    /** A server's handshake is complete. */
    static void remember(TlsSession now) {
        if (now.getSessionID() == null || now.getSessionID().length == 0) return;
        boolean resumed = Server.SESSIONS.put(Hex.toHexString(now.getSessionID()), now) != null;
        System.out.println(resumed ? "resumed" : "connected");
    }

    static BufferedReader input() throws IOException { return new BufferedReader(new InputStreamReader(System.in, "ISO-8859-1")); }

    /** Lines of a server's standard input: other keys. */
    static void listen() {
        try {
            BufferedReader input = input();
            for (String line; (line = input.readLine()) != null; )
                if (line.startsWith("use ")) {
                    Keys.now = new Keys(line.substring(4));
                    System.out.println("uses them");
                }
        } catch (IOException error) {
            System.out.println("failed: " + error);
        }
    }

    /** What the peer sends, until it closes; a server answers it. */
    static void receive(DTLSTransport session, boolean answer) throws IOException {
        byte[] buffer = new byte[2048];
        while (!closed) {
            int length = session.receive(buffer, 0, buffer.length, 100);
            if (length < 0) continue;
            String said = new String(buffer, 0, length, "ISO-8859-1");
            System.out.println(said);
            if (answer) {
                byte[] echo = ("echo " + said.replaceFirst("^(ask|GET) ", "")).getBytes("ISO-8859-1");
                session.send(echo, 0, echo.length);
            }
        }
        System.out.println("closed");
    }

    static void serve(int port) throws IOException {
        Wire wire = new Wire(port, true);
        DTLSVerifier verifier = new DTLSVerifier(CRYPTO);
        byte[] buffer = new byte[2048];
        while (true) {
            int length = wire.receive(buffer, 0, buffer.length, 1000);
            if (length < 0) continue;
            byte[] client = wire.peer.toString().getBytes();
            DTLSRequest request = verifier.verifyRequest(client, buffer, 0, length, wire);
            if (request == null) continue;
            closed = false;
            try {
                receive(new DTLSServerProtocol().accept(Keys.now == null ? new Server() : new Keys.Server(), wire, request), true);
            } catch (IOException failed) {
                System.out.println("failed: " + failed);
            }
        }
    }

    static void send(DTLSTransport session, String line) throws IOException {
        byte[] data = (line + "\n").getBytes("ISO-8859-1");
        session.send(data, 0, data.length);
    }

    static void connect(int port, int times) throws IOException {
        BufferedReader input = input();
        for (int time = 1; time <= times; time++) {
            closed = false;
            Wire wire = new Wire(port, false);
            DTLSTransport session = new DTLSClientProtocol().connect(Keys.now == null ? new Client() : new Keys.Client(), wire);
            if (time < times) {
                session.close();
                continue;
            }
            Thread receiver = new Thread(() -> {
                try {
                    receive(session, false);
                } catch (IOException error) {
                    System.out.println("failed: " + error);
                }
            });
            receiver.setDaemon(true);
            receiver.start();
            send(session, "ask BouncyCastle");
            for (String line; (line = input.readLine()) != null; ) {
                if (line.equals("move")) wire.move();
                else send(session, line);
            }
            session.close();
        }
    }

    public static void main(String[] words) throws IOException {
        identity = words[2].getBytes("UTF-8");
        suite = Integer.parseInt(words[3], 16);
        cid = words[4].equals("none") ? null : Hex.decode(words[4]);
        if (System.getenv("DICE_KEYS") != null) Keys.now = new Keys(System.getenv("DICE_KEYS"));
        if (words[0].equals("server")) {
            Thread settings = new Thread(BouncyCastle::listen);
            settings.setDaemon(true);
            settings.start();
            serve(Integer.parseInt(words[1]));
        } else connect(Integer.parseInt(words[1]), Integer.parseInt(words[5]));
    }
}
