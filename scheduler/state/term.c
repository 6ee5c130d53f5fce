#include "scheduler/state/term.h"

#include "protocol/base/buf.h"
#include "protocol/base/random.h"
#include "scheduler/state/limits.h"
#include "scheduler/state/pack.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { TERM_VERSION = 1, TERM_BYTES = 256 };

static const char term_name[] = "term";

/* Which file the state is in: another one has another number, or was born at another time. */
struct file_mark {
    uint64_t inode;
    uint64_t born_s;
    uint32_t born_ns;
};

static struct file_mark mark_of(const struct state *s)
{
    char path[PATH_MAX];
    struct statx st;
    struct file_mark m = {0};
    if (snprintf(path, sizeof path, "%s/state.lmdb", state_dir(s)) >= (int)sizeof path ||
        statx(AT_FDCWD, path, 0, STATX_INO | STATX_BTIME, &st))
        return m;
    m.inode = st.stx_ino;
    if (st.stx_mask & STATX_BTIME) {
        m.born_s = (uint64_t)st.stx_btime.tv_sec;
        m.born_ns = st.stx_btime.tv_nsec;
    }
    return m;
}

void state_term_boot(char out[TERM_BOOT_BYTES])
{
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
    *out = '\0';
    if (f && fgets(out, TERM_BOOT_BYTES, f))
        out[strcspn(out, "\n")] = '\0';
    if (f)
        fclose(f);
}

enum err_code state_term_get(struct state *s, struct state_term *ret, bool *ret_copy,
                             struct err *err)
{
    CLEANUP(buf_done) struct buf bytes;
    *ret = (struct state_term){0};
    *ret_copy = false;
    buf_init(&bytes, TERM_BYTES);
    enum err_code rc = state_misc_get(s, term_name, &bytes, err);
    if (rc)
        return rc == ERR_NOTFOUND ? ERR_OK : rc;
    struct unpack u = {(const uint8_t *)bytes.p, bytes.len};
    uint8_t version = unpack_u8(&u);
    if (version != TERM_VERSION)
        return err_set(err, ERR_INVALID, "state: a term has version %u", version);
    ret->number = unpack_u64(&u);
    unpack_str(&u, ret->holder, sizeof ret->holder);
    unpack_str(&u, ret->boot, sizeof ret->boot);
    struct file_mark was = {0}, is = mark_of(s);
    was.inode = unpack_u64(&u);
    was.born_s = unpack_u64(&u);
    was.born_ns = unpack_u32(&u);
    *ret_copy = was.inode != is.inode || was.born_s != is.born_s || was.born_ns != is.born_ns;
    return ERR_OK;
}

static enum err_code put(struct state *s, const struct state_term *t, struct err *err)
{
    uint8_t bytes[TERM_BYTES];
    struct pack k = {.p = bytes, .cap = sizeof bytes};
    struct file_mark m = mark_of(s);
    pack_u8(&k, TERM_VERSION);
    pack_u64(&k, t->number);
    pack_str(&k, t->holder);
    pack_str(&k, t->boot);
    pack_u64(&k, m.inode);
    pack_u64(&k, m.born_s);
    pack_u32(&k, m.born_ns);
    ensure(!k.full);
    return state_misc_put(s, term_name, slice_of(bytes, k.n), err);
}

enum err_code state_term_raise(struct state *s, uint64_t above, struct state_term *ret,
                               struct err *err)
{
    struct state_term t;
    bool copy;
    enum err_code rc = state_term_get(s, &t, &copy, err);
    if (rc)
        return rc;
    t.number = (t.number > above ? t.number : above) + 1;
    random_hex(t.holder, TERM_HOLDER_BYTES - 1);
    state_term_boot(t.boot);
    rc = put(s, &t, err);
    if (!rc)
        *ret = t;
    return rc;
}

bool state_term_is_behind(const struct state_term *own, uint64_t number, const char *holder)
{
    return number > own->number ||
           (number && number == own->number && strcmp(own->holder, holder) != 0);
}
