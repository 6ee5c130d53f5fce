#include "worker/deliver/render_choice.h"

struct slice choice_name(const struct batch_head *head, const char *name)
{
    if (strcmp(name, "{{identify_by}}") == 0 && head->key_count)
        return head->key_names[0];
    return slice_str(name);
}

bool choice_lists(const struct batch_head *head, const char *const *names, size_t count,
                  struct slice name)
{
    for (size_t i = 0; i < count; i++)
        if (slice_eq(name, choice_name(head, names[i])))
            return true;
    return false;
}

bool choice_takes(const struct batch_head *head, const struct field_choice *choice,
                  struct slice name)
{
    if (choice_lists(head, choice->except, choice->except_count, name))
        return false;
    return !choice->only_count || choice_lists(head, choice->only, choice->only_count, name);
}

bool choice_suits_policy(const struct batch_head *head, const struct field_choice *choice,
                         size_t field)
{
    int policy = head->policies ? head->policies[field] : POLICY_OVERWRITE;
    if (choice->policy == CHOICE_CONFLICTS)
        return policy != POLICY_OVERWRITE || head->newest_field == (int32_t)field;
    return choice->policy < 0 || choice->policy == policy;
}

enum err_code choice_no_memory(struct compiler *c)
{
    return err_set(c->err, ERR_NOMEM, "no memory for the fields of a batch");
}

bool choice_as_text(const struct compiler *c, const struct field_choice *choice)
{
    const struct object *o = c->scope.context->object;
    enum render_as as = choice->as ? choice->as : o ? o->fields_as : AS_DEFAULT;
    return as == AS_TEXT;
}

struct null_policy choice_null(const struct compiler *c, const struct field_choice *choice,
                               bool omit)
{
    const struct object *o = c->scope.context->object;
    if (choice->null.kind != NULL_DEFAULT)
        return choice->null;
    if (omit)
        return (struct null_policy){.kind = NULL_OMIT};
    return o ? o->null : (struct null_policy){0};
}
