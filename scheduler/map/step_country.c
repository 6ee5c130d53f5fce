/*
 * country2: a country as ISO 3166-1 alpha-2, in lower case.
 *
 * Takes alpha-2, alpha-3 and the English names that people write. Spaces, points and accents do not
 * matter: "U.S.A.", "Türkiye". What is none of them becomes NULL.
 */
#include "scheduler/map/steps.h"

#include <stdlib.h>
#include <utf8proc.h>

enum { ALPHA2 = 2, ALPHA3 = 3, CODES = ALPHA2 + ALPHA3, NAME_MAX_BYTES = 32 };

/* ISO 3166-1: alpha-2 and alpha-3 of each country, in the order of alpha-2; and Kosovo's, which are
 * in use. */
static const char codes[] =
    "adandaeareafafgagatgaiaiaalalbamarmaoagoaqataarargasasmatautauausawabwaxalaazazebabih"
    "bbbrbbdbgdbebelbfbfabgbgrbhbhrbibdibjbenblblmbmbmubnbrnbobolbqbesbrbrabsbhsbtbtnbvbvt"
    "bwbwabyblrbzblzcacancccckcdcodcfcafcgcogchchecicivckcokclchlcmcmrcnchncocolcrcricucub"
    "cvcpvcwcuwcxcxrcycypczczededeudjdjidkdnkdmdmadodomdzdzaececueeestegegyeheshereriesesp"
    "etethfifinfjfjifkflkfmfsmfofrofrfragagabgbgbrgdgrdgegeogfgufggggyghghagigibglgrlgmgmb"
    "gngingpglpgqgnqgrgrcgssgsgtgtmgugumgwgnbgyguyhkhkghmhmdhnhndhrhrvhthtihuhunididnieirl"
    "ilisrimimninindioiotiqirqirirnisislititajejeyjmjamjojorjpjpnkekenkgkgzkhkhmkikirkmcom"
    "knknakpprkkrkorkwkwtkycymkzkazlalaolblbnlclcalilielklkalrlbrlslsoltltululuxlvlvalylby"
    "mamarmcmcomdmdamemnemfmafmgmdgmhmhlmkmkdmlmlimmmmrmnmngmomacmpmnpmqmtqmrmrtmsmsrmtmlt"
    "mumusmvmdvmwmwimxmexmymysmzmoznanamncnclnenernfnfkngnganinicnlnldnonornpnplnrnrununiu"
    "nznzlomomnpapanpeperpfpyfpgpngphphlpkpakplpolpmspmpnpcnprpripspseptprtpwplwpypryqaqat"
    "rereurorourssrbrurusrwrwasasausbslbscsycsdsdnseswesgsgpshshnsisvnsjsjmsksvkslslesmsmr"
    "snsensosomsrsurssssdststpsvslvsxsxmsysyrszswztctcatdtcdtfatftgtgoththatjtjktktkltltls"
    "tmtkmtntuntotontrturttttotvtuvtwtwntztzauaukrugugaumumiususauyuryuzuzbvavatvcvctveven"
    "vgvgbvivirvnvnmvuvutwfwlfwswsmxkxkxyeyemytmytzazafzmzmbzwzwe";

/* In the order of the names; letters only. */
static const struct country_name {
    const char *name;
    const char *code;
} names[] = {
    {"america", "us"},
    {"argentina", "ar"},
    {"australia", "au"},
    {"austria", "at"},
    {"bangladesh", "bd"},
    {"belgium", "be"},
    {"brazil", "br"},
    {"britain", "gb"},
    {"bulgaria", "bg"},
    {"canada", "ca"},
    {"chile", "cl"},
    {"china", "cn"},
    {"colombia", "co"},
    {"croatia", "hr"},
    {"cyprus", "cy"},
    {"czechia", "cz"},
    {"czechrepublic", "cz"},
    {"denmark", "dk"},
    {"egypt", "eg"},
    {"el", "gr"},
    {"england", "gb"},
    {"estonia", "ee"},
    {"finland", "fi"},
    {"france", "fr"},
    {"germany", "de"},
    {"greatbritain", "gb"},
    {"greece", "gr"},
    {"holland", "nl"},
    {"hongkong", "hk"},
    {"hungary", "hu"},
    {"iceland", "is"},
    {"india", "in"},
    {"indonesia", "id"},
    {"ireland", "ie"},
    {"israel", "il"},
    {"italy", "it"},
    {"japan", "jp"},
    {"kenya", "ke"},
    {"korea", "kr"},
    {"latvia", "lv"},
    {"lithuania", "lt"},
    {"luxembourg", "lu"},
    {"malaysia", "my"},
    {"malta", "mt"},
    {"mexico", "mx"},
    {"morocco", "ma"},
    {"netherlands", "nl"},
    {"newzealand", "nz"},
    {"nigeria", "ng"},
    {"northernireland", "gb"},
    {"norway", "no"},
    {"pakistan", "pk"},
    {"peru", "pe"},
    {"philippines", "ph"},
    {"poland", "pl"},
    {"portugal", "pt"},
    {"republicofkorea", "kr"},
    {"romania", "ro"},
    {"russia", "ru"},
    {"russianfederation", "ru"},
    {"saudiarabia", "sa"},
    {"scotland", "gb"},
    {"serbia", "rs"},
    {"singapore", "sg"},
    {"slovakia", "sk"},
    {"slovenia", "si"},
    {"southafrica", "za"},
    {"southkorea", "kr"},
    {"spain", "es"},
    {"sweden", "se"},
    {"switzerland", "ch"},
    {"taiwan", "tw"},
    {"thailand", "th"},
    {"thenetherlands", "nl"},
    {"turkey", "tr"},
    {"turkiye", "tr"},
    {"uae", "ae"},
    {"uk", "gb"},
    {"ukraine", "ua"},
    {"unitedarabemirates", "ae"},
    {"unitedkingdom", "gb"},
    {"unitedstates", "us"},
    {"unitedstatesofamerica", "us"},
    {"vietnam", "vn"},
    {"wales", "gb"},
};

/* What decides: the letters, in lower case and without their accents. Returns 0 where there are
 * more than any name has. */
static size_t letters_of(struct slice s, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n;) {
        utf8proc_int32_t code, parts[4];
        int first_boundary = 0;
        utf8proc_ssize_t bytes =
            utf8proc_iterate((const utf8proc_uint8_t *)s.p + i, (utf8proc_ssize_t)(s.n - i), &code);
        if (bytes <= 0)
            return 0;
        i += (size_t)bytes;
        utf8proc_ssize_t count = utf8proc_decompose_char(code, parts, ARRAY_LEN(parts),
                                                         UTF8PROC_DECOMPOSE, &first_boundary);
        utf8proc_int32_t letter = count > 0 ? parts[0] | 0x20 : 0;
        if (letter < 'a' || letter > 'z')
            continue;
        if (n == NAME_MAX_BYTES)
            return 0;
        out[n++] = (char)letter;
    }
    return n;
}

static int compare_alpha2(const void *wanted, const void *row)
{
    return memcmp(wanted, row, ALPHA2);
}

static const char *find_alpha2(const char *letters)
{
    return bsearch(letters, codes, (sizeof codes - 1) / CODES, CODES, compare_alpha2);
}

static const char *find_alpha3(const char *letters)
{
    for (const char *row = codes; *row; row += CODES)
        if (memcmp(row + ALPHA2, letters, ALPHA3) == 0)
            return row;
    return NULL;
}

static int compare_name(const void *wanted, const void *row)
{
    return strcmp(wanted, ((const struct country_name *)row)->name);
}

static const char *find_name(const char *letters)
{
    const struct country_name *found =
        bsearch(letters, names, ARRAY_LEN(names), sizeof *names, compare_name);
    return found ? found->code : NULL;
}

enum err_code step_country2(struct step_env *env, const struct step *step, struct value *v,
                            struct err *err)
{
    (void)env, (void)step, (void)err;
    char letters[NAME_MAX_BYTES + 1];
    size_t n = letters_of(value_slice(*v), letters);
    letters[n] = '\0';
    const char *code = n == ALPHA2   ? find_alpha2(letters)
                       : n == ALPHA3 ? find_alpha3(letters)
                                     : NULL;
    if (!code && n)
        code = find_name(letters);
    *v = code ? value_of(VALUE_TEXT, slice_of(code, ALPHA2)) : (struct value){.kind = VALUE_NULL};
    return ERR_OK;
}
