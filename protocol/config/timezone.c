#include "protocol/config/parts.h"

#include "protocol/config/files.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static const char zone_folder[] = "/usr/share/zoneinfo";

enum {
    ZONE_BYTES = 100, /* of a name */
    ZONES_MAX = 1000,
    ZONE_TABLE_BYTES = 1 << 20,
};

static bool is_zone_name(const char *name)
{
    if (!isalpha((unsigned char)*name) || strlen(name) > ZONE_BYTES || strstr(name, ".."))
        return false;
    for (; *name; name++)
        if (!isalnum((unsigned char)*name) && !strchr("/_+-", *name))
            return false;
    return true;
}

/* A zone's file begins with TZif (RFC 8536); the folder has other files too. */
static bool is_zone_file(const char *name)
{
    char path[sizeof zone_folder + ZONE_BYTES + 1], magic[4] = {0};
    snprintf(path, sizeof path, "%s/%s", zone_folder, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, magic, sizeof magic);
    close(fd);
    return n == (ssize_t)sizeof magic && memcmp(magic, "TZif", sizeof magic) == 0;
}

/* The names in zone1970.tab: code, coordinates, NAME, comment, between tabs. */
static size_t zone_names(struct reader *rd, char *table, const char **names)
{
    size_t count = 0;
    char *rest = table;
    for (char *line = strsep(&rest, "\n"); line && count < ZONES_MAX; line = strsep(&rest, "\n")) {
        if (*line == '#')
            continue;
        char *column = line;
        strsep(&column, "\t");
        strsep(&column, "\t");
        const char *name = strsep(&column, "\t");
        if (name)
            names[count++] = reader_printf(rd, "%s", name);
    }
    return count;
}

static const char *suggestion(struct reader *rd, const char *word)
{
    static const char otherwise[] = "write a name such as Europe/Berlin, America/New_York or UTC";
    char path[sizeof zone_folder + 16];
    struct buf table CLEANUP(buf_done);
    buf_init(&table, ZONE_TABLE_BYTES);
    snprintf(path, sizeof path, "%s/zone1970.tab", zone_folder);
    const char **names = reader_alloc(rd, ZONES_MAX * sizeof *names);
    if (!names || file_read(path, &table, NULL) || !buf_cstr(&table))
        return otherwise;
    return did_you_mean(rd, word, names, zone_names(rd, table.p, names), otherwise);
}

void timezone_check_database(struct reader *rd, const struct node *node)
{
    if (!rd->is_worker && access(zone_folder, R_OK | X_OK) != 0)
        mistake(rd, node->at,
                "the time zone database (%s) is not here: install the package tzdata, or remove "
                "`timezone`",
                zone_folder);
}

void timezone_check(struct reader *rd, const struct node *node)
{
    bool database = access(zone_folder, R_OK | X_OK) == 0;
    if (is_zone_name(node->text) && (!database || is_zone_file(node->text)))
        return;
    mistake(rd, node->at, "there is no time zone %s: %s", shown(rd, node),
            suggestion(rd, node->substituted ? "" : node->text));
}
