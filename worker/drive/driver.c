#include "worker/deliver/driver.h"

#include "worker/deliver/webhook.h"
#include "worker/postgres/postgres.h"

const struct driver *driver_find(const char *type)
{
    static const struct driver *const all[] = {&webhook_driver, &postgres_driver};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (strcmp(all[i]->type, type) == 0)
            return all[i];
    return NULL;
}
