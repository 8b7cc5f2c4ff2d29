// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT
//
// Bouncy Castle with raw public keys or certificates instead of a pre-shared key, for BouncyCastle.java. Its settings are words with a
// space between them, in $DICE_KEYS, and on a line of standard input of a server, behind "use ", for the clients from then on:
//
// raw|certificates PRIVATE CHAIN TRUST ask|-
//
// PRIVATE: 32 bytes in hex, "-" for none; CHAIN: DER in hex with a comma between two, or the SubjectPublicKeyInfo; TRUST: the DER of
// the root or of the peer's SubjectPublicKeyInfo, "any", or "-"; ask: a server demands the client's.

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.math.BigInteger;
import java.security.cert.CertPathValidator;
import java.security.cert.CertificateFactory;
import java.security.cert.PKIXParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.Vector;
import org.bouncycastle.asn1.sec.SECObjectIdentifiers;
import org.bouncycastle.asn1.x509.SubjectPublicKeyInfo;
import org.bouncycastle.crypto.ec.CustomNamedCurves;
import org.bouncycastle.crypto.params.ECNamedDomainParameters;
import org.bouncycastle.crypto.params.ECPrivateKeyParameters;
import org.bouncycastle.tls.*;
import org.bouncycastle.tls.crypto.TlsCertificate;
import org.bouncycastle.tls.crypto.TlsCryptoParameters;
import org.bouncycastle.tls.crypto.impl.bc.BcDefaultTlsCredentialedSigner;
import org.bouncycastle.tls.crypto.impl.bc.BcTlsRawKeyCertificate;
import org.bouncycastle.util.encoders.Hex;

class Keys {
    static volatile Keys now;

    final boolean raw, ask;
    final byte[] secret, trust;
    final List<byte[]> chain = new ArrayList<>();
    final boolean any;

    Keys(String settings) {
        String[] words = settings.split(" ");
        raw = words[0].equals("raw");
        secret = words[1].equals("-") ? null : Hex.decode(words[1]);
        if (secret != null) for (String one : words[2].split(",")) chain.add(Hex.decode(one));
        any = words[3].equals("any");
        trust = any || words[3].equals("-") ? null : Hex.decode(words[3]);
        ask = words[4].equals("ask");
    }

    short[] types() { return raw ? new short[] {CertificateType.RawPublicKey} : null; }

    TlsCredentials credentials(TlsContext context) throws IOException {
        if (secret == null) return null;
        CertificateEntry[] entries = new CertificateEntry[chain.size()];
        for (int at = 0; at < entries.length; at++) entries[at] = new CertificateEntry(certificate(chain.get(at)), null);
        Certificate shown = new Certificate(raw ? CertificateType.RawPublicKey : CertificateType.X509, null, entries);
        ECNamedDomainParameters curve =
            new ECNamedDomainParameters(SECObjectIdentifiers.secp256r1, CustomNamedCurves.getByName("secp256r1"));
        return new BcDefaultTlsCredentialedSigner(
            new TlsCryptoParameters(context), BouncyCastle.CRYPTO, new ECPrivateKeyParameters(new BigInteger(1, secret), curve), shown,
            new SignatureAndHashAlgorithm(HashAlgorithm.sha256, SignatureAlgorithm.ecdsa));
    }

    TlsCertificate certificate(byte[] encoded) throws IOException {
        if (!raw) return BouncyCastle.CRYPTO.createCertificate(encoded);
        return new BcTlsRawKeyCertificate(BouncyCastle.CRYPTO, SubjectPublicKeyInfo.getInstance(encoded));
    }

    void verify(Certificate shown) throws IOException {
        if (shown == null || shown.isEmpty()) throw new TlsFatalAlert(AlertDescription.handshake_failure);
        if (any) return;
        try {
            if (raw) {
                if (Arrays.equals(shown.getCertificateAt(0).getEncoded(), trust)) return;
                throw new TlsFatalAlert(AlertDescription.certificate_unknown);
            }
            CertificateFactory factory = CertificateFactory.getInstance("X.509");
            List<X509Certificate> path = new ArrayList<>();
            for (TlsCertificate one : shown.getCertificateList())
                path.add((X509Certificate) factory.generateCertificate(new ByteArrayInputStream(one.getEncoded())));
            X509Certificate root = (X509Certificate) factory.generateCertificate(new ByteArrayInputStream(trust));
            PKIXParameters parameters = new PKIXParameters(Set.of(new TrustAnchor(root, null)));
            parameters.setRevocationEnabled(false);
            CertPathValidator.getInstance("PKIX").validate(factory.generateCertPath(path), parameters);
        } catch (java.security.GeneralSecurityException wrong) {
            System.out.println("does not verify: " + wrong.getMessage());
            throw new TlsFatalAlert(AlertDescription.bad_certificate);
        }
    }

    static class Client extends AbstractTlsClient {
        Client() { super(BouncyCastle.CRYPTO); }

        protected ProtocolVersion[] getSupportedVersions() { return BouncyCastle.VERSIONS; }

        protected int[] getSupportedCipherSuites() { return new int[] {BouncyCastle.suite}; }

        protected byte[] getNewConnectionID() { return BouncyCastle.cid; }

        protected short[] getAllowedClientCertificateTypes() { return now.secret == null ? null : now.types(); }

        protected short[] getAllowedServerCertificateTypes() { return now.types(); }

        public TlsSession getSessionToResume() { return BouncyCastle.Client.session; }

        public TlsAuthentication getAuthentication() {
            return new TlsAuthentication() {
                public void notifyServerCertificate(TlsServerCertificate shown) throws IOException {
                    now.verify(shown.getCertificate());
                }

                public TlsCredentials getClientCredentials(CertificateRequest request) throws IOException {
                    return now.credentials(context);
                }
            };
        }

        public void notifyAlertReceived(short level, short alert) {
            super.notifyAlertReceived(level, alert);
            BouncyCastle.alert(alert);
        }

        public void notifyHandshakeComplete() throws IOException {
            super.notifyHandshakeComplete();
            BouncyCastle.connected(context.getSession());
        }
    }

    static class Server extends AbstractTlsServer {
        final Keys keys = now;

        Server() { super(BouncyCastle.CRYPTO); }

        protected ProtocolVersion[] getSupportedVersions() { return BouncyCastle.VERSIONS; }

        protected int[] getSupportedCipherSuites() { return new int[] {BouncyCastle.suite}; }

        protected byte[] getNewConnectionID() { return BouncyCastle.cid; }

        protected short[] getAllowedClientCertificateTypes() { return keys.types(); }

        public TlsCredentials getCredentials() throws IOException { return keys.credentials(context); }

        public byte[] getNewSessionID() { return BouncyCastle.newSessionId(); }

        public TlsSession getSessionToResume(byte[] id) { return BouncyCastle.Server.SESSIONS.get(Hex.toHexString(id)); }

        public CertificateRequest getCertificateRequest() throws IOException {
            if (!keys.ask) return null;
            Vector algorithms = TlsUtils.getDefaultSupportedSignatureAlgorithms(context);
            return new CertificateRequest(new short[] {ClientCertificateType.ecdsa_sign}, algorithms, null);
        }

        public void notifyClientCertificate(Certificate shown) throws IOException { keys.verify(shown); }

        public void notifyAlertReceived(short level, short alert) {
            super.notifyAlertReceived(level, alert);
            BouncyCastle.alert(alert);
        }

        public void notifyHandshakeComplete() throws IOException {
            super.notifyHandshakeComplete();
            BouncyCastle.remember(context.getSession());
        }
    }
}
