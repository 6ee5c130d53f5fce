#include "scheduler/cli/init.h"

#include <ctype.h>
#include <string.h>

enum { NAME_BYTES = 128, FIELDS_MAX = 512 };

/* Words for the same thing, without case and separators; the groups are told apart by the first. */
static const char *const synonyms[] = {
    ("email emailaddress mail emailaddr useremail contactemail customeremail em primaryemail "
     "sha256email emailsha256 hashedemail"),
    "firstname givenname forename fname fn first",
    "lastname surname familyname lname ln last",
    "name fullname displayname",
    "phone phonenumber telephone tel phoneno phn ph primaryphone phonesha256",
    "mobile mobilephone mobilenumber cell cellphone",
    "company companyname organization organisation organizationname employer",
    "title jobtitle position",
    "address address1 street streetaddress addressline1 mailingstreet billingstreet",
    "address2 addressline2",
    "city town ct locality mailingcity billingcity",
    "state region province st stateprovince mailingstate billingstate",
    "zip zipcode postalcode postcode zp mailingpostalcode billingpostalcode",
    "country countrycode countryname mailingcountry billingcountry",
    "website url homepage web domain",
    "birthday dateofbirth dob birthdate bday",
    "gender sex gen ge",
    "externalid userid customerid distinctid memberid contactid uid",
    "language locale lang",
    "timezone tz",
    "createdat created signupdate signedupat createddate registeredat",
    "time timestamp eventtime occurredat",
    "value amount",
    "industry sector",
    "employees numberofemployees employeecount headcount",
};

/* Standard fields of vendors whose objects take any field: a project cannot list them. */
static const struct {
    const char *connector;
    const char *object;
    const char *fields;
    bool must_exist; /* the vendor refuses fields that were not made there before */
} standard[] = {
    {"hubspot", "contacts",
     "email firstname lastname phone mobilephone company jobtitle website address city state zip "
     "country",
     true},
    {"hubspot", "companies",
     "name domain phone address city state zip country industry numberofemployees description",
     true},
    {"hubspot", "*", "name", true},
    {"salesforce", "Contact",
     "FirstName LastName Email Phone MobilePhone Title Birthdate MailingStreet MailingCity "
     "MailingState MailingPostalCode MailingCountry",
     true},
    {"salesforce", "Lead",
     "FirstName LastName Email Phone MobilePhone Company Title Website Industry Street City State "
     "PostalCode Country",
     true},
    {"salesforce", "Account",
     "Name Phone Website Industry NumberOfEmployees BillingStreet BillingCity BillingState "
     "BillingPostalCode BillingCountry",
     true},
    {"salesforce", "*", "Name", true},
    {"marketo", "*", "email firstName lastName phone mobilePhone company title", true},
    {"intercom", "contacts", "name phone", true},
    {"mailchimp", "*", "merge_fields.FNAME merge_fields.LNAME merge_fields.PHONE", true},
    {"braze", "users",
     "email first_name last_name phone country home_city dob gender language time_zone", false},
    {"mixpanel", "users", "$email $first_name $last_name $name $phone $city $region", false},
};

/* ---- names ---- */

/* Letters and digits in lower case; of a name with levels only the last. */
static const char *plain(const char *name, char out[NAME_BYTES])
{
    const char *dot = strrchr(name, '.');
    size_t n = 0;
    for (const char *p = dot && dot[1] ? dot + 1 : name; *p && n < NAME_BYTES - 1; p++)
        if (isalnum((unsigned char)*p) || (unsigned char)*p >= 0x80)
            out[n++] = (char)tolower((unsigned char)*p);
    out[n] = '\0';
    return out;
}

static bool has_word(const char *words, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = words; n && (p = strstr(p, word)); p += n)
        if ((p == words || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\0'))
            return true;
    return false;
}

static bool same_thing(const char *a, const char *b)
{
    for (size_t i = 0; i < ARRAY_LEN(synonyms); i++)
        if (has_word(synonyms[i], a) && has_word(synonyms[i], b))
            return true;
    return false;
}

/* 3: the same letters, 2: a synonym, 1: a number of the record and its id elsewhere. */
static int likeness(const char *column, const char *field)
{
    char a[NAME_BYTES], b[NAME_BYTES];
    plain(column, a);
    plain(field, b);
    if (strcmp(a, b) == 0)
        return 3;
    if (same_thing(a, b))
        return 2;
    return strcmp(a, "id") == 0 && same_thing(b, "externalid") ? 1 : 0;
}

/* ---- fields ---- */

struct fields {
    const char *names[FIELDS_MAX];
    bool taken[FIELDS_MAX];
    size_t count;
    bool open; /* and any other */
    bool must_exist;
};

static void add_field(struct fields *f, const char *name)
{
    if (strchr(name, '*') || f->count == FIELDS_MAX)
        return;
    for (size_t i = 0; i < f->count; i++)
        if (strcmp(f->names[i], name) == 0)
            return;
    f->names[f->count++] = name;
}

static bool add_words(struct fields *f, const char *words, struct arena *arena)
{
    while (*words) {
        size_t n = strcspn(words, " ");
        const char *copy = arena_str(arena, slice_of(words, n));
        if (!copy)
            return false;
        add_field(f, copy);
        words += n + strspn(words + n, " ");
    }
    return true;
}

static size_t standard_of(const struct init_plan *p)
{
    const struct connector *c = p->connector;
    const char *name = p->object_name ? p->object_name : p->object->name;
    size_t i = 0;
    while (i < ARRAY_LEN(standard) &&
           !(c->builtin && strcmp(standard[i].connector, c->name) == 0 &&
             (strcmp(standard[i].object, "*") == 0 || strcmp(standard[i].object, name) == 0)))
        i++;
    return i;
}

static bool list_fields(const struct init_plan *p, struct arena *arena, struct fields *f)
{
    const struct object *o = p->object;
    *f = (struct fields){.open = o->field_count == 0};
    for (size_t i = 0; i < o->field_count; i++)
        f->open |= strcmp(o->fields[i].name, "*") == 0;
    size_t at = standard_of(p);
    f->must_exist = at < ARRAY_LEN(standard) && standard[at].must_exist;
    for (size_t i = 0; i < o->key_count; i++)
        if (f->open || object_field(o, o->keys[i].name))
            add_field(f, o->keys[i].name);
    for (size_t i = 0; i < o->field_count; i++)
        add_field(f, o->fields[i].name);
    return at == ARRAY_LEN(standard) || add_words(f, standard[at].fields, arena);
}

/* ---- matching ---- */

static const char *take_field(struct fields *f, const char *column, int least)
{
    for (size_t i = 0; i < f->count; i++)
        if (!f->taken[i] && likeness(column, f->names[i]) >= least) {
            f->taken[i] = true;
            return f->names[i];
        }
    return NULL;
}

static void take_given(struct fields *f, const struct init_match *m)
{
    for (size_t i = 0; m->field && i < f->count; i++)
        f->taken[i] |= strcmp(f->names[i], m->field) == 0;
}

static bool is_field(const struct init_match *matches, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (matches[i].field && strcmp(matches[i].field, name) == 0)
            return true;
    return false;
}

enum err_code init_match(struct arena *arena, const struct init_plan *p, struct init_match *matches,
                         size_t count)
{
    struct fields f;
    if (!list_fields(p, arena, &f))
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++)
        take_given(&f, &matches[i]);
    for (int least = 3; least >= 1; least--)
        for (size_t i = 0; i < count; i++)
            if (!matches[i].field)
                matches[i].field = take_field(&f, matches[i].column, least);
    for (size_t i = 0; i < count && f.open && !f.must_exist; i++)
        if (!matches[i].field && !is_field(matches, count, matches[i].column))
            matches[i].field = matches[i].column;
    return ERR_OK;
}

const char *init_key(const struct object *o, const struct init_match *matches, size_t count)
{
    for (size_t i = 0; i < o->key_count; i++)
        if (is_field(matches, count, o->keys[i].name))
            return o->keys[i].name;
    return NULL;
}

bool init_takes_any_key(const struct init_plan *p)
{
    const struct object *o = p->object;
    size_t at = standard_of(p);
    bool open = o->key_count == 0;
    for (size_t i = 0; i < o->key_count; i++)
        open |= strcmp(o->keys[i].name, "*") == 0;
    return open && !(at < ARRAY_LEN(standard) && standard[at].must_exist);
}
