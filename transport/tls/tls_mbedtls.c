// TLS 1.2 and 1.3 by mbedTLS 3.6. This file and tls_mbedtls_pem.c are all that knows this library:
// its codes become ut_err and sentences here.
//
// The network thread and the dispatch thread use the library at the same time. That is safe because
// it is built with MBEDTLS_THREADING_PTHREAD, for the state that PSA shares, and because no context
// is used by two threads.
#include "transport/tls/tls.h"

#include "transport/tls/tls_mbedtls_pem.h"

#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h> // for its error codes; its sockets are not used
#include <mbedtls/oid.h>         // MBEDTLS_X509_EXT_... are in terms of it
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ticket.h>
#include <mbedtls/version.h>
#include <psa/crypto.h>

#include <stdio.h>
#include <stdlib.h>

enum {
    DETAIL_TEXT_MAX = 160, // bytes of the sentence about the peer's certificate
    IP_BYTES_MAX = 16,
};

// The signatures that a client takes, best first. The library offers RSA-PSS for the sake of TLS
// 1.3 but cannot check it in TLS 1.2, where a server may use it too. TLS 1.3 signs no handshake
// with PKCS #1, so it can stand in front: servers that go by the client's order then take it in TLS
// 1.2.
static const uint16_t signatures[] = {
    MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256,
    MBEDTLS_TLS1_3_SIG_ECDSA_SECP384R1_SHA384,
    MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA256,
    MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA384,
    MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA512,
    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA256,
    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA384,
    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA512,
    MBEDTLS_TLS1_3_SIG_NONE,
};

// Servers that go by their own order (OpenSSL's "server preference") take RSA-PSS all the same. To
// them the next attempt offers this, and TLS 1.2 alone.
static const uint16_t signatures_without_pss[] = {
    MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256, MBEDTLS_TLS1_3_SIG_ECDSA_SECP384R1_SHA384,
    MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA256,       MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA384,
    MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA512,       MBEDTLS_TLS1_3_SIG_NONE,
};

// The last session with one host.
typedef struct {
    char host_z[UT_HOST_MAX]; // empty: the place is free
    mbedtls_ssl_session session;
} saved_session;

struct ut_tls_context {
    mbedtls_ssl_config conf;
    mbedtls_x509_crt ca;
    mbedtls_x509_crt cert;
    mbedtls_pk_context key;
    mbedtls_ssl_ticket_context tickets; // server
    const char *alpn[2];
    bool server;
    bool without_pss; // client: the last server signed in a way that cannot be checked
    saved_session sessions[UT_TLS_SESSIONS_MAX]; // client
    size_t session_next;                         // the place that the next new host gets
};

struct ut_tls {
    mbedtls_ssl_context ssl;
    ut_tls_context *context;
    ut_sock sock;
    char host_z[UT_HOST_MAX];
    uint8_t ip[IP_BYTES_MAX]; // of a numeric host_z
    size_t ip_len;            // 0: host_z is a name
    size_t write_len;         // of a write that is not finished, else 0
    int last_error;           // of the library, for ut_tls_explain
    bool eof;                 // the socket has ended
    bool heard;               // the peer has sent data behind the handshake
    bool session_offered;     // a saved session was offered to the server
    bool names_nothing;       // the peer's certificate has no subjectAltName
    bool certificates_sent;   // the handshake went through the state that sends or awaits them
    char detail_z[DETAIL_TEXT_MAX]; // names or date of the peer's certificate, when they are wrong
};

// ---- what the library asks of us ----

static int give_random(void *context, unsigned char *out, size_t len)
{
    (void)context;
    return ut_random(out, len) == UT_OK ? 0 : MBEDTLS_ERR_SSL_NO_RNG;
}

static int sock_send(void *context, const unsigned char *data, size_t len)
{
    ut_tls *tls = context;
    ut_bytes part = {data, len};
    size_t n = 0;
    switch (ut_sock_write(tls->sock, &part, 1, &n)) {
    case UT_OK:
        return (int)n;
    case UT_EAGAIN:
        return MBEDTLS_ERR_SSL_WANT_WRITE;
    default:
        return MBEDTLS_ERR_NET_CONN_RESET;
    }
}

static int sock_receive(void *context, unsigned char *out, size_t cap)
{
    ut_tls *tls = context;
    size_t n = 0;
    switch (ut_sock_read(tls->sock, out, cap, &n)) {
    case UT_OK:
        return (int)n;
    case UT_EAGAIN:
        return MBEDTLS_ERR_SSL_WANT_READ;
    case UT_ECLOSED:
        tls->eof = true;
        return 0;
    default:
        return MBEDTLS_ERR_NET_CONN_RESET;
    }
}

// ---- the certificate of the peer ----

// Appends text from a certificate; whoever made it chose the bytes.
static void detail_add(ut_tls *tls, ut_bytes text)
{
    size_t len = strlen(tls->detail_z);
    for (size_t i = 0; i < text.len && len + 1 < sizeof(tls->detail_z); i++) {
        uint8_t byte = text.data[i];
        tls->detail_z[len++] = byte >= 0x20 && byte < 0x7f ? (char)byte : '?';
    }
    tls->detail_z[len] = '\0';
}

static void detail_add_z(ut_tls *tls, const char *text_z)
{
    detail_add(tls, ut_bytes_of_z(text_z));
}

// Names the DNS names and addresses that a certificate is for.
static void detail_names(ut_tls *tls, const mbedtls_x509_crt *cert)
{
    enum { NAMES_MAX = 3 };
    int told = 0;
    for (const mbedtls_x509_sequence *name = &cert->subject_alt_names;
         name != NULL && name->buf.p != NULL; name = name->next) {
        int kind = name->buf.tag & MBEDTLS_ASN1_TAG_VALUE_MASK;
        if (kind != MBEDTLS_X509_SAN_DNS_NAME && kind != MBEDTLS_X509_SAN_IP_ADDRESS)
            continue;
        if (told == NAMES_MAX) {
            detail_add_z(tls, ", ...");
            return;
        }
        detail_add_z(tls, told == 0 ? "" : ", ");
        if (kind == MBEDTLS_X509_SAN_DNS_NAME) {
            detail_add(tls, ut_bytes_of(name->buf.p, name->buf.len));
        } else if (name->buf.len == 4 || name->buf.len == 16) {
            ut_addr addr = {.family = name->buf.len == 4 ? UT_ADDR_IP4 : UT_ADDR_IP6};
            memcpy(addr.ip, name->buf.p, name->buf.len);
            char text_z[UT_ADDR_TEXT_MAX];
            ut_addr_text(&addr, text_z);
            char *port = strrchr(text_z, ':');
            if (port != NULL)
                *port = '\0';
            detail_add_z(tls, text_z);
        }
        told++;
    }
    if (told == 0)
        detail_add_z(tls, "no host at all");
}

static void detail_date(ut_tls *tls, const mbedtls_x509_time *date)
{
    char text_z[64];
    (void)snprintf(text_z, sizeof(text_z), "%04d-%02d-%02d %02d:%02d UTC", date->year, date->mon,
                   date->day, date->hour, date->min); // a cut text is as good
    detail_add_z(tls, text_z);
}

// The library compares a numeric host with the text of DNS entries too, wildcards and all. RFC 9525
// section 6.4 wants the address entries alone, so the library is given no name for such a host and
// the comparison is here.
static bool names_address(const mbedtls_x509_crt *cert, const uint8_t *ip, size_t ip_len)
{
    for (const mbedtls_x509_sequence *name = &cert->subject_alt_names;
         name != NULL && name->buf.p != NULL; name = name->next) {
        if ((name->buf.tag & MBEDTLS_ASN1_TAG_VALUE_MASK) == MBEDTLS_X509_SAN_IP_ADDRESS &&
            name->buf.len == ip_len && memcmp(name->buf.p, ip, ip_len) == 0)
            return true;
    }
    return false;
}

// Called for every certificate of the chain, the peer's own (depth 0) last.
static int check_certificate(void *context, mbedtls_x509_crt *cert, int depth, uint32_t *flags)
{
    ut_tls *tls = context;
    // Without a subjectAltName the library would compare the common name, which RFC 9525 section 2
    // rules out.
    if (depth == 0 && tls->host_z[0] != '\0' &&
        (cert->MBEDTLS_PRIVATE(ext_types) & MBEDTLS_X509_EXT_SUBJECT_ALT_NAME) == 0)
        tls->names_nothing = true;
    if (tls->names_nothing ||
        (depth == 0 && tls->ip_len > 0 && !names_address(cert, tls->ip, tls->ip_len)))
        *flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
    if (tls->detail_z[0] != '\0')
        return 0;
    if ((*flags & MBEDTLS_X509_BADCERT_EXPIRED) != 0)
        detail_date(tls, &cert->valid_to);
    else if ((*flags & MBEDTLS_X509_BADCERT_FUTURE) != 0)
        detail_date(tls, &cert->valid_from);
    else if ((*flags & MBEDTLS_X509_BADCERT_CN_MISMATCH) != 0)
        detail_names(tls, cert);
    return 0;
}

static ut_err certificate_fault(const ut_tls *tls, ut_fault *fault)
{
    uint32_t flags = mbedtls_ssl_get_verify_result(&tls->ssl);
    const char *whose_z = tls->context->server ? "the client's" : "the server's";
    if ((flags & MBEDTLS_X509_BADCERT_MISSING) != 0)
        return ut_fault_set(fault, UT_ETLS, "the peer showed no certificate");
    if ((flags & MBEDTLS_X509_BADCERT_EXPIRED) != 0)
        return ut_fault_set(fault, UT_ETLS,
                            "%s certificate, or one it depends on, expired on %s; renew it, or "
                            "correct the clock of this machine",
                            whose_z, tls->detail_z);
    if ((flags & MBEDTLS_X509_BADCERT_FUTURE) != 0)
        return ut_fault_set(fault, UT_ETLS,
                            "%s certificate, or one it depends on, is not valid before %s; is the "
                            "clock of this machine right?",
                            whose_z, tls->detail_z);
    if ((flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) != 0)
        return ut_fault_set(fault, UT_ETLS,
                            "%s certificate is not signed by a trusted CA; name the CA that signed "
                            "it in ca_file",
                            whose_z);
    if ((flags & (MBEDTLS_X509_BADCERT_KEY_USAGE | MBEDTLS_X509_BADCERT_EXT_KEY_USAGE |
                  MBEDTLS_X509_BADCERT_NS_CERT_TYPE)) != 0)
        return ut_fault_set(fault, UT_ETLS,
                            "%s certificate is not meant for this use (key usage extensions)",
                            whose_z);
    if (tls->names_nothing)
        return ut_fault_set(fault, UT_ETLS,
                            "%s certificate has no subjectAltName, and its common name does not "
                            "count (RFC 9525): have it issued with subjectAltName=%s:%s",
                            whose_z, tls->ip_len > 0 ? "IP" : "DNS", tls->host_z);
    if ((flags & MBEDTLS_X509_BADCERT_CN_MISMATCH) != 0)
        return ut_fault_set(fault, UT_ETLS,
                            "%s certificate is for another host: it names %s, not %s", whose_z,
                            tls->detail_z, tls->host_z);
    if ((flags & (MBEDTLS_X509_BADCERT_BAD_MD | MBEDTLS_X509_BADCERT_BAD_PK |
                  MBEDTLS_X509_BADCERT_BAD_KEY)) != 0)
        return ut_fault_set(fault, UT_ETLS,
                            "%s certificate, or one it depends on, is too weak (wanted: SHA-2, RSA "
                            "of 2048 bits or an elliptic curve)",
                            whose_z);
    return ut_fault_set(fault, UT_ETLS, "%s certificate was refused (flags %lx)", whose_z,
                        (unsigned long)flags);
}

// ---- faults ----

// The alerts of RFC 8446 section 6 and RFC 5246 section 7.2, with what they mean to the one who
// gets them.
static const char *alert_text(unsigned alert)
{
    switch (alert) {
    case MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE:
        return "handshake failure: no common cipher, or it wants a client certificate";
    case MBEDTLS_SSL_ALERT_MSG_NO_CERT:
    case MBEDTLS_SSL_ALERT_MSG_CERT_REQUIRED:
        return "it requires a client certificate";
    case MBEDTLS_SSL_ALERT_MSG_BAD_CERT:
        return "it finds our certificate bad";
    case MBEDTLS_SSL_ALERT_MSG_UNSUPPORTED_CERT:
        return "it does not support our certificate";
    case MBEDTLS_SSL_ALERT_MSG_CERT_REVOKED:
        return "our certificate is revoked";
    case MBEDTLS_SSL_ALERT_MSG_CERT_EXPIRED:
        return "our certificate has expired";
    case MBEDTLS_SSL_ALERT_MSG_CERT_UNKNOWN:
        return "it does not accept our certificate";
    case MBEDTLS_SSL_ALERT_MSG_UNKNOWN_CA:
        return "it does not know the CA of our certificate";
    case MBEDTLS_SSL_ALERT_MSG_ACCESS_DENIED:
        return "access denied";
    case MBEDTLS_SSL_ALERT_MSG_DECRYPT_ERROR:
        return "a signature or a finished message did not verify";
    case MBEDTLS_SSL_ALERT_MSG_PROTOCOL_VERSION:
        return "it takes neither TLS 1.2 nor 1.3";
    case MBEDTLS_SSL_ALERT_MSG_INSUFFICIENT_SECURITY:
        return "it wants stronger ciphers";
    case MBEDTLS_SSL_ALERT_MSG_INTERNAL_ERROR:
        return "internal error on its side";
    case MBEDTLS_SSL_ALERT_MSG_UNRECOGNIZED_NAME:
        return "it does not serve this host name";
    case MBEDTLS_SSL_ALERT_MSG_NO_APPLICATION_PROTOCOL:
        return "it does not speak HTTP/1.1; is it a gRPC port? use its HTTP port";
    default:
        return "see RFC 8446, section 6";
    }
}

static ut_err library_fault(const ut_tls *tls, int code, ut_fault *fault)
{
    switch (code) {
    case MBEDTLS_ERR_X509_CERT_VERIFY_FAILED:
    case MBEDTLS_ERR_SSL_BAD_CERTIFICATE:
        return certificate_fault(tls, fault);
    case MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE:
        return ut_fault_set(fault, UT_ETLS, "the client showed no certificate");
    case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE: {
        // The library offers no call for it: an alert stands in the message buffer as level,
        // number.
        unsigned alert = tls->ssl.MBEDTLS_PRIVATE(in_msg)[1];
        return ut_fault_set(fault, UT_ETLS, "the peer ended TLS: %s (alert %u)", alert_text(alert),
                            alert);
    }
    case MBEDTLS_ERR_SSL_CONN_EOF:
    case MBEDTLS_ERR_NET_CONN_RESET:
        return ut_fault_set(fault, UT_ETLS,
                            "the peer closed the connection during the TLS handshake; is it a TLS "
                            "port?");
    case MBEDTLS_ERR_SSL_INVALID_RECORD:
    case MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE:
    case MBEDTLS_ERR_SSL_DECODE_ERROR:
        return ut_fault_set(fault, UT_ETLS,
                            "the peer does not speak TLS; is it a plain HTTP port?");
    case MBEDTLS_ERR_SSL_INVALID_MAC:
        // In TLS 1.3 a server refuses a client certificate when the client's handshake is over, and
        // this library's server does so with the keys of the handshake.
        if (!tls->heard && !tls->context->server)
            return ut_fault_set(fault, UT_ETLS,
                                "the peer ended TLS in a way that cannot be read; it may want "
                                "another client certificate, or one at all");
        return ut_fault_set(fault, UT_ETLS, "TLS received a damaged record");
    case MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION:
        return ut_fault_set(fault, UT_ETLS, "the peer speaks neither TLS 1.2 nor 1.3");
    case MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE:
        return ut_fault_set(fault, UT_ETLS, "no cipher in common with the peer");
    case MBEDTLS_ERR_SSL_NO_APPLICATION_PROTOCOL:
        return ut_fault_set(fault, UT_ETLS,
                            "the peer does not offer HTTP/1.1 (ALPN); is it a gRPC port? use "
                            "its HTTP port");
    case MBEDTLS_ERR_SSL_ALLOC_FAILED:
    case MBEDTLS_ERR_X509_ALLOC_FAILED:
    case MBEDTLS_ERR_PK_ALLOC_FAILED:
        return ut_fault_set(fault, UT_ENOMEM, "out of memory in TLS");
    default: {
        char text_z[128];
        mbedtls_strerror(code, text_z, sizeof(text_z));
        return ut_fault_set(fault, UT_ETLS, "TLS failed: %s (-0x%04x)", text_z, (unsigned)-code);
    }
    }
}

// Keeps the code for ut_tls_explain and translates what needs no sentence.
static ut_err failed(ut_tls *tls, int code)
{
    tls->last_error = code;
    switch (code) {
    case MBEDTLS_ERR_NET_CONN_RESET:
    case MBEDTLS_ERR_SSL_CONN_EOF:
        return UT_EIO;
    case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
        return UT_ECLOSED;
    case MBEDTLS_ERR_SSL_ALLOC_FAILED:
        return UT_ENOMEM;
    default:
        return UT_ETLS;
    }
}

void ut_tls_explain(const ut_tls *tls, ut_fault *fault)
{
    (void)library_fault(tls, tls->last_error, fault); // the sentence is all that is wanted
}

// ---- sessions of a client ----

static saved_session *find_session(ut_tls_context *context, const char *host_z)
{
    for (size_t i = 0; i < UT_TLS_SESSIONS_MAX; i++) {
        if (strcmp(context->sessions[i].host_z, host_z) == 0)
            return &context->sessions[i];
    }
    return NULL;
}

static void forget_session(saved_session *saved)
{
    mbedtls_ssl_session_free(&saved->session);
    mbedtls_ssl_session_init(&saved->session);
    saved->host_z[0] = '\0';
}

// Remembers the session of a connection for the next one to the same host. A session that cannot be
// kept costs a whole handshake the next time, no more.
static void save_session(ut_tls *tls)
{
    ut_tls_context *context = tls->context;
    saved_session *saved = find_session(context, tls->host_z);
    if (saved == NULL) {
        saved = &context->sessions[context->session_next];
        context->session_next = (context->session_next + 1) % UT_TLS_SESSIONS_MAX;
    }
    mbedtls_ssl_session session;
    mbedtls_ssl_session_init(&session);
    if (mbedtls_ssl_get_session(&tls->ssl, &session) != 0) {
        mbedtls_ssl_session_free(&session);
        return;
    }
    forget_session(saved);
    saved->session = session;
    memcpy(saved->host_z, tls->host_z, sizeof(saved->host_z));
}

static void offer_session(ut_tls *tls)
{
    saved_session *saved = find_session(tls->context, tls->host_z);
    if (saved == NULL)
        return;
    if (mbedtls_ssl_set_session(&tls->ssl, &saved->session) == 0)
        tls->session_offered = true;
    else
        forget_session(saved);
}

// ---- context ----

static void offer_signatures(ut_tls_context *context, bool without_pss)
{
    context->without_pss = without_pss;
    mbedtls_ssl_conf_sig_algs(&context->conf, without_pss ? signatures_without_pss : signatures);
    mbedtls_ssl_conf_max_tls_version(&context->conf, without_pss ? MBEDTLS_SSL_VERSION_TLS1_2
                                                                 : MBEDTLS_SSL_VERSION_TLS1_3);
}

static ut_err parse_identity(ut_tls_context *context, const ut_tls_config *config, ut_fault *fault)
{
    if (config->key_pem.len == 0)
        return ut_fault_set(fault, UT_EINVAL,
                            "there is a certificate without its private key; give both");
    ut_err err = ut_tls_pem_certificates(config->cert_pem, "certificate", &context->cert, fault);
    if (err != UT_OK)
        return err;
    err = ut_tls_pem_key(config->key_pem, give_random, &context->key, fault);
    if (err != UT_OK)
        return err;
    if (mbedtls_pk_check_pair(&context->cert.pk, &context->key, give_random, NULL) != 0)
        return ut_fault_set(fault, UT_ETLS,
                            "the private key does not belong to the certificate (the first one of "
                            "the certificate file must be the agent's own)");
    if (mbedtls_ssl_conf_own_cert(&context->conf, &context->cert, &context->key) != 0)
        return ut_fault_set(fault, UT_ENOMEM, "out of memory for the certificate");
    return UT_OK;
}

static ut_err set_up(ut_tls_context *context, const ut_tls_config *config, ut_fault *fault)
{
    // Counts its users itself, and is needed before the first handshake of TLS 1.3.
    if (psa_crypto_init() != PSA_SUCCESS)
        return ut_fault_set(fault, UT_ETLS, "the random source of TLS does not start");
    if (mbedtls_ssl_config_defaults(&context->conf,
                                    config->server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT,
                                    MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT) != 0)
        return ut_fault_set(fault, UT_ENOMEM, "out of memory for TLS");
    mbedtls_ssl_conf_rng(&context->conf, give_random, NULL);
    mbedtls_ssl_conf_min_tls_version(&context->conf, MBEDTLS_SSL_VERSION_TLS1_2);
    context->alpn[0] = "http/1.1";
    if (mbedtls_ssl_conf_alpn_protocols(&context->conf, context->alpn) != 0)
        return ut_fault_set(fault, UT_ETLS, "the protocol names are refused by the TLS library");

    if (config->cert_pem.len > 0) {
        ut_err err = parse_identity(context, config, fault);
        if (err != UT_OK)
            return err;
    } else if (config->server) {
        return ut_fault_set(fault, UT_EINVAL, "a TLS server needs a certificate and its key");
    } else if (config->key_pem.len > 0) {
        return ut_fault_set(fault, UT_EINVAL,
                            "there is a private key without its certificate; give both");
    }

    bool verify = config->server ? config->ca_pem.len > 0 : !config->insecure;
    if (verify) {
        if (config->ca_pem.len == 0)
            return ut_fault_set(fault, UT_EINVAL,
                                "there is no trusted CA: name one in ca_file, or install the "
                                "system's (package ca-certificates)");
        ut_err err = ut_tls_pem_certificates(config->ca_pem, "CA file", &context->ca, fault);
        if (err != UT_OK)
            return err;
        mbedtls_ssl_conf_ca_chain(&context->conf, &context->ca, NULL);
    }
    mbedtls_ssl_conf_authmode(&context->conf,
                              verify ? MBEDTLS_SSL_VERIFY_REQUIRED : MBEDTLS_SSL_VERIFY_NONE);

    if (!config->server) {
        offer_signatures(context, false);
        mbedtls_ssl_conf_session_tickets(&context->conf, MBEDTLS_SSL_SESSION_TICKETS_ENABLED);
        mbedtls_ssl_conf_tls13_enable_signal_new_session_tickets(
            &context->conf, MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED);
        return UT_OK;
    }
    if (mbedtls_ssl_ticket_setup(&context->tickets, give_random, NULL, MBEDTLS_CIPHER_AES_256_GCM,
                                 UT_TLS_TICKET_SECONDS_MAX) != 0)
        return ut_fault_set(fault, UT_ETLS, "the keys for session tickets cannot be made");
    mbedtls_ssl_conf_session_tickets_cb(&context->conf, mbedtls_ssl_ticket_write,
                                        mbedtls_ssl_ticket_parse, &context->tickets);
    return UT_OK;
}

ut_err ut_tls_context_new(const ut_tls_config *config, ut_tls_context **context, ut_fault *fault)
{
    ut_tls_context *made = calloc(1, sizeof(*made));
    if (made == NULL)
        return ut_fault_set(fault, UT_ENOMEM, "out of memory for TLS");
    made->server = config->server;
    mbedtls_ssl_config_init(&made->conf);
    mbedtls_x509_crt_init(&made->ca);
    mbedtls_x509_crt_init(&made->cert);
    mbedtls_pk_init(&made->key);
    mbedtls_ssl_ticket_init(&made->tickets);
    for (size_t i = 0; i < UT_TLS_SESSIONS_MAX; i++)
        mbedtls_ssl_session_init(&made->sessions[i].session);
    ut_err err = set_up(made, config, fault);
    if (err != UT_OK) {
        ut_tls_context_free(made);
        return err;
    }
    *context = made;
    return UT_OK;
}

void ut_tls_context_free(ut_tls_context *context)
{
    if (context == NULL)
        return;
    for (size_t i = 0; i < UT_TLS_SESSIONS_MAX; i++)
        mbedtls_ssl_session_free(&context->sessions[i].session);
    mbedtls_ssl_ticket_free(&context->tickets);
    mbedtls_ssl_config_free(&context->conf);
    mbedtls_pk_free(&context->key);
    mbedtls_x509_crt_free(&context->cert);
    mbedtls_x509_crt_free(&context->ca);
    free(context);
}

// ---- connection ----

ut_err ut_tls_open(ut_tls_context *context, ut_sock sock, const char *host_z, ut_tls **tls)
{
    UT_ASSERT(context->server == (host_z == NULL));
    if (host_z != NULL && (host_z[0] == '\0' || strlen(host_z) >= UT_HOST_MAX))
        return UT_EINVAL;
    ut_tls *made = calloc(1, sizeof(*made));
    if (made == NULL)
        return UT_ENOMEM;
    made->context = context;
    made->sock = sock;
    mbedtls_ssl_init(&made->ssl);
    if (mbedtls_ssl_setup(&made->ssl, &context->conf) != 0)
        goto no_memory;
    mbedtls_ssl_set_bio(&made->ssl, made, sock_send, sock_receive, NULL);
    mbedtls_ssl_set_verify(&made->ssl, check_certificate, made);
    if (host_z != NULL) {
        size_t host_len = strcspn(host_z, "%"); // no certificate names a zone
        if (host_len > 1 && host_z[host_len - 1] == '.')
            host_len--;
        memcpy(made->host_z, host_z, host_len);
        made->ip_len = mbedtls_x509_crt_parse_cn_inet_pton(made->host_z, made->ip);
        // RFC 6066 section 3 forbids addresses in SNI; check_certificate compares them.
        if (mbedtls_ssl_set_hostname(&made->ssl, made->ip_len > 0 ? NULL : made->host_z) != 0)
            goto no_memory;
        offer_session(made);
    }
    *tls = made;
    return UT_OK;

no_memory:
    ut_tls_free(made);
    return UT_ENOMEM;
}

void ut_tls_free(ut_tls *tls)
{
    if (tls == NULL)
        return;
    mbedtls_ssl_free(&tls->ssl);
    free(tls);
}

// True when code says that the socket is not ready; *want is then set.
static bool must_wait(int code, uint32_t *want)
{
    if (code == MBEDTLS_ERR_SSL_WANT_READ)
        *want = UT_READABLE;
    else if (code == MBEDTLS_ERR_SSL_WANT_WRITE)
        *want = UT_WRITABLE;
    else
        return false;
    return true;
}

// Prepares the next attempt of a client after a handshake that failed with code. True when it goes
// without RSA-PSS, which was the reason. A server that is content with TLS 1.2 loses nothing by
// that; should somebody on the way have pretended it, the attempt fails and the one after it offers
// everything again.
static bool go_without_pss(ut_tls *tls, int code)
{
    bool unchecked = code == MBEDTLS_ERR_SSL_ILLEGAL_PARAMETER && !tls->context->without_pss &&
                     tls->ssl.MBEDTLS_PRIVATE(state) == MBEDTLS_SSL_SERVER_KEY_EXCHANGE;
    offer_signatures(tls->context, unchecked);
    return unchecked;
}

ut_err ut_tls_handshake(ut_tls *tls, uint32_t *want, ut_fault *fault)
{
    // The steps are taken one by one, because only the states tell whether a session was resumed:
    // a resumed handshake never comes to the server's certificate, on either side.
    while (tls->ssl.MBEDTLS_PRIVATE(state) != MBEDTLS_SSL_HANDSHAKE_OVER) {
        if (tls->ssl.MBEDTLS_PRIVATE(state) == MBEDTLS_SSL_SERVER_CERTIFICATE)
            tls->certificates_sent = true;
        int code = mbedtls_ssl_handshake_step(&tls->ssl);
        if (code == 0)
            continue;
        if (must_wait(code, want))
            return UT_EAGAIN;
        // The session may be what the server refuses: the next attempt goes without it.
        saved_session *saved =
            tls->session_offered ? find_session(tls->context, tls->host_z) : NULL;
        if (saved != NULL)
            forget_session(saved);
        tls->last_error = code;
        if (!tls->context->server && go_without_pss(tls, code))
            return ut_fault_set(fault, UT_ETLS,
                                "the server signs with RSA-PSS in TLS 1.2, which cannot be checked "
                                "here; the next attempt asks for another signature");
        return library_fault(tls, code, fault);
    }
    // TLS 1.3 sends tickets later, in ut_tls_read.
    if (!tls->context->server &&
        mbedtls_ssl_get_version_number(&tls->ssl) == MBEDTLS_SSL_VERSION_TLS1_2)
        save_session(tls);
    return UT_OK;
}

// A ticket has been received and is not read yet.
static bool has_ticket(const ut_tls *tls)
{
    return tls->ssl.MBEDTLS_PRIVATE(state) == MBEDTLS_SSL_TLS1_3_NEW_SESSION_TICKET;
}

ut_err ut_tls_read(ut_tls *tls, void *out, size_t cap, size_t *n, uint32_t *want)
{
    for (;;) {
        bool had_ticket = has_ticket(tls);
        int code = mbedtls_ssl_read(&tls->ssl, out, cap);
        // The library reports a ticket of TLS 1.3 first as if it had to wait, with the ticket in
        // hand: waiting for the socket then could be in vain.
        if (code == MBEDTLS_ERR_SSL_WANT_READ && !had_ticket && has_ticket(tls))
            continue;
        if (code > 0) {
            tls->heard = true;
            *n = (size_t)code;
            return UT_OK;
        }
        if (code == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET) {
            save_session(tls);
            continue;
        }
        if (must_wait(code, want))
            return UT_EAGAIN;
        if (code == 0 && !tls->eof)
            continue; // a record without content
        return failed(tls, code == 0 ? MBEDTLS_ERR_SSL_CONN_EOF : code);
    }
}

// Lets the library do what it has to do before data can go: a ticket of TLS 1.3 is a piece of
// handshake. UT_OK: nothing more.
static ut_err finish_handshake_messages(ut_tls *tls, uint32_t *want)
{
    while (tls->ssl.MBEDTLS_PRIVATE(state) != MBEDTLS_SSL_HANDSHAKE_OVER) {
        int code = mbedtls_ssl_handshake(&tls->ssl);
        if (code == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET)
            save_session(tls);
        else if (must_wait(code, want))
            return UT_EAGAIN;
        else if (code != 0)
            return failed(tls, code);
    }
    return UT_OK;
}

ut_err ut_tls_write(ut_tls *tls, ut_bytes bytes, size_t *n, uint32_t *want)
{
    ut_err err = finish_handshake_messages(tls, want);
    if (err != UT_OK)
        return err;
    // The bytes of one record; asked for, because it depends on the version and on what was
    // negotiated.
    int room = mbedtls_ssl_get_max_out_record_payload(&tls->ssl);
    if (room <= 0)
        return failed(tls, room);
    size_t len = bytes.len < (size_t)room ? bytes.len : (size_t)room;
    if (tls->write_len > 0) {
        // After a wait the library sends the record that it has made, and reports the length of
        // this call for it: the length must be the one of the first call.
        UT_ASSERT(bytes.len >= tls->write_len);
        len = tls->write_len;
        // A ticket read in between makes the library send the waiting record by itself. It does not
        // remember that the record is part of a write, and would send the same bytes again.
        if (tls->ssl.MBEDTLS_PRIVATE(out_left) == 0) {
            tls->write_len = 0;
            *n = len;
            return UT_OK;
        }
    }
    UT_ASSERT(len >= 1);
    int code = mbedtls_ssl_write(&tls->ssl, bytes.data, len);
    if (code > 0) {
        tls->write_len = 0;
        *n = (size_t)code;
        return UT_OK;
    }
    if (must_wait(code, want)) {
        tls->write_len = len;
        return UT_EAGAIN;
    }
    return failed(tls, code);
}

ut_err ut_tls_shutdown(ut_tls *tls, uint32_t *want)
{
    int code = mbedtls_ssl_close_notify(&tls->ssl);
    if (code == 0)
        return UT_OK;
    return must_wait(code, want) ? UT_EAGAIN : failed(tls, code);
}

bool ut_tls_pending(const ut_tls *tls)
{
    return mbedtls_ssl_check_pending(&tls->ssl) != 0;
}

bool ut_tls_resumed(const ut_tls *tls)
{
    return tls->ssl.MBEDTLS_PRIVATE(state) == MBEDTLS_SSL_HANDSHAKE_OVER && !tls->certificates_sent;
}

const char *ut_tls_version(void)
{
    return MBEDTLS_VERSION_STRING_FULL;
}
