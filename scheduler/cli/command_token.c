/* sluice token: makes a token for the API, which only its owner ever sees. */
#include "protocol/base/random.h"
#include "scheduler/cli/cli.h"

#include <jansson.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN_PREFIX "sluice_" /* so that those who look for leaked secrets know it */

enum { TOKEN_DIGITS = 64, TOKEN_BYTES = sizeof TOKEN_PREFIX + TOKEN_DIGITS };

static void digest_text(const char *token, char out[2 * TOKEN_DIGEST_BYTES + 1])
{
    unsigned char digest[TOKEN_DIGEST_BYTES];
    SHA256((const unsigned char *)token, strlen(token), digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

static void print_json(const char *name, enum role role, const char *token, const char *digest)
{
    json_t *j = json_pack("{s:s,s:s,s:s,s:s}", "name", name, "role", role_name(role), "token",
                          token, "sha256", digest);
    char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    if (text)
        puts(text);
    free(text);
    json_decref(j);
}

static bool read_role(const char *word, enum role *ret)
{
    for (enum role r = ROLE_VIEWER; word && r <= ROLE_ADMIN; r++)
        if (strcmp(role_name(r), word) == 0) {
            *ret = r;
            return true;
        }
    return !word;
}

/* A name that can stand in YAML as it is. */
static bool is_plain(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.@");
    return n && !name[n] && n <= TOKEN_NAME_MAX;
}

int command_token(const struct cli_options *opts)
{
    char token[TOKEN_BYTES] = TOKEN_PREFIX, digest[2 * TOKEN_DIGEST_BYTES + 1];
    enum role role = ROLE_VIEWER;
    const char *name = opts->names[0];
    if (!read_role(opts->role, &role)) {
        fprintf(stderr, "sluice: --role must be viewer, operator or admin, not %s\n", opts->role);
        return EXIT_USAGE;
    }
    if (!is_plain(name)) {
        fprintf(stderr,
                "sluice: a token's name must be letters, digits and _-.@, at most %d of them\n",
                TOKEN_NAME_MAX);
        return EXIT_USAGE;
    }
    random_hex(token + strlen(token), TOKEN_DIGITS);
    digest_text(token, digest);
    if (opts->json) {
        print_json(name, role, token, digest);
        return EXIT_OK;
    }
    printf("%s\n\nThis is the token; it is shown only now. Under `settings: tokens:` belongs the "
           "line\n\n    - {name: \"%s\", role: %s, sha256: %s}\n\nand `sluice reload` takes it "
           "in.\n",
           token, name, role_name(role), digest);
    return EXIT_OK;
}
