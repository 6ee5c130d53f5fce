#include "worker/deliver/driver.h"

#include "protocol/connector/connector.h"
#include "worker/drive/http_driver.h"
#include "worker/postgres/postgres.h"

const struct driver *driver_find(const struct destination *destination)
{
    static const struct driver *const all[] = {&http_driver, &postgres_driver};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (strcmp(all[i]->type, destination->connector->driver) == 0)
            return all[i];
    return NULL;
}
