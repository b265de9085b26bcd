/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Predict and ListHistory on the bus. A question whose sender leaves the bus is given up.
 */
#include "daemon/bus-predict.h"

#include "base/error.h"
#include "daemon/options.h"

#define SECONDS 4
#define MAX_SECONDS 60
#define MAX_AGE_S 30

typedef GVariantBuilder Dict;

typedef struct {
    MigdBus *bus;
    GDBusMethodInvocation *invocation;
    MigdPredictor *predictor;
    guint id;
    guint sender_watch;
} Question;

static void
add(Dict *dict, const char *name, GVariant *value)
{
    g_variant_builder_add(dict, "{sv}", name, value);
}

static void
add_u64(Dict *dict, const char *name, guint64 value)
{
    add(dict, name, g_variant_new_uint64(value));
}

static void
add_string(Dict *dict, const char *name, const char *value)
{
    add(dict, name, g_variant_new_string(value));
}

static void
add_range(Dict *dict, const char *name, const MigdRange *range)
{
    add(dict, name, g_variant_new("(ttt)", range->low, range->mid, range->high));
}

/* ---- the answer ----------------------------------------------------------------------------- */

static Dict
input_new(const MigdProvenance *provenance)
{
    Dict dict;

    g_variant_builder_init(&dict, G_VARIANT_TYPE_VARDICT);
    add_string(&dict, "source", provenance->source);
    add_u64(&dict, "age_us", provenance->age_us);
    add(&dict, "n", g_variant_new_uint32(provenance->n));
    return dict;
}

static void
add_input(Dict *inputs, const char *name, const MigdProvenance *provenance, guint64 value,
          double spread)
{
    Dict dict = input_new(provenance);

    if (value > 0)
        add_u64(&dict, "value", value);
    add(&dict, "spread", g_variant_new_double(spread));
    add(inputs, name, g_variant_builder_end(&dict));
}

static void
add_curve(Dict *inputs, const MigdForetold *foretold)
{
    const MigdHypothesis *best = migd_model_best(&foretold->input.dirty);
    Dict dict = input_new(&foretold->curve);
    GVariantBuilder points;

    g_variant_builder_init(&points, G_VARIANT_TYPE("a(tt)"));
    for (guint i = 0; i < foretold->n_points; i++)
        g_variant_builder_add(&points, "(tt)",
                              (guint64)(foretold->points[i].seconds * G_USEC_PER_SEC),
                              (guint64)foretold->points[i].dirty_bytes);
    add(&dict, "points", g_variant_builder_end(&points));
    if (best != NULL) {
        add_u64(&dict, "lambda_bps", (guint64)best->lambda_bps);
        add_u64(&dict, "working_set_bytes",
                (guint64)MIN(best->working_set_bytes, (double)foretold->input.memory_bytes));
    }
    add(&dict, "spread", g_variant_new_double(foretold->input.dirty_spread));
    add(inputs, "dirty-curve", g_variant_builder_end(&dict));
}

/* The mechanism in use with its price, and what else could be turned on with theirs. */
static void
add_write_protect(Dict *inputs, const MigdForetold *foretold)
{
    const MigdWriteProtect *found = &foretold->write_protect;
    guint64 memory_bytes = foretold->input.memory_bytes;
    guint32 others = (found->settable_now | found->settable_next) & ~(1u << found->active);
    const MigdProvenance published = {foretold->log_start_us > 0 ? "published" : "unknown", 0, 0};
    g_autofree char *price = migd_mechanism_price(found->active, memory_bytes);
    Dict dict = input_new(&published), prices;

    add_string(&dict, "mechanism", migd_mechanism_to_string(found->active));
    add_u64(&dict, "value", foretold->log_start_us);
    add_string(&dict, "price", price);
    g_variant_builder_init(&prices, G_VARIANT_TYPE("a{ss}"));
    for (guint i = MIGD_MECHANISM_NONE; i < MIGD_N_MECHANISMS; i++) {
        g_autofree char *other = migd_mechanism_price((MigdMechanism)i, memory_bytes);

        if ((others & (1u << i)) != 0)
            g_variant_builder_add(&prices, "{ss}", migd_mechanism_to_string((MigdMechanism)i),
                                  other);
    }
    add(&dict, "others", g_variant_builder_end(&prices));
    add(inputs, "write-protect", g_variant_builder_end(&dict));
}

static GVariant *
inputs_of(const MigdForetold *foretold)
{
    const MigdPredictInput *input = &foretold->input;
    Dict inputs;

    g_variant_builder_init(&inputs, G_VARIANT_TYPE_VARDICT);
    add_string(&inputs, "profile", input->profile.name);
    add_string(&inputs, "peer", foretold->peer);
    add_u64(&inputs, "memory_bytes", input->memory_bytes);
    add_u64(&inputs, "max_bandwidth_bps", input->max_bandwidth_bps);
    add_u64(&inputs, "downtime_limit_us", input->downtime_limit_us);
    add_input(&inputs, "bandwidth", &foretold->bandwidth, (guint64)input->stream_bps.mid,
              input->stream_bps.spread);
    if (input->link_bps.mid > 0)
        add_input(&inputs, "link", &foretold->bandwidth, (guint64)input->link_bps.mid,
                  input->link_bps.spread);
    add_input(&inputs, "filled", &foretold->filled, (guint64)input->filled_bytes.mid,
              input->filled_bytes.spread);
    add_input(&inputs, "fixed-downtime", &foretold->fixed, (guint64)(input->fixed_s.mid * 1e6),
              input->fixed_s.spread);
    add_input(&inputs, "setup", &foretold->setup, (guint64)(input->setup_s.mid * 1e6),
              input->setup_s.spread);
    add_write_protect(&inputs, foretold);
    add_curve(&inputs, foretold);
    return g_variant_builder_end(&inputs);
}

static GVariant *
actions_of(const MigdPrediction *prediction)
{
    GVariantBuilder list;

    g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
    for (guint i = 0; i < MIGD_N_ACTIONS; i++) {
        const MigdPredictedAction *action = &prediction->actions[i];
        Dict dict;

        if (action->share_pct == 0)
            continue;
        g_variant_builder_init(&dict, G_VARIANT_TYPE_VARDICT);
        add_string(&dict, "action", migd_action_to_string((MigdAction)i));
        add_u64(&dict, "argument", action->argument);
        add(&dict, "share_pct", g_variant_new_uint32(action->share_pct));
        g_variant_builder_add_value(&list, g_variant_builder_end(&dict));
    }
    return g_variant_builder_end(&list);
}

static void
add_results(Dict *dict, const MigdPrediction *prediction)
{
    Dict results;

    g_variant_builder_init(&results, G_VARIANT_TYPE_VARDICT);
    for (guint i = 0; i < G_N_ELEMENTS(prediction->results_pct); i++)
        if (prediction->results_pct[i] > 0)
            add(&results, migd_run_result_to_string((MigdRunResult)i),
                g_variant_new_uint32(prediction->results_pct[i]));
    add(dict, "results_pct", g_variant_builder_end(&results));
}

static GVariant *
answer_of(const MigdForetold *foretold)
{
    const MigdPrediction *prediction = &foretold->prediction;
    Dict dict;

    g_variant_builder_init(&dict, G_VARIANT_TYPE_VARDICT);
    add(&dict, "known", g_variant_new_boolean(prediction->known));
    add_string(&dict, "verdict", migd_verdict_to_string(prediction->verdict));
    add(&dict, "inputs", inputs_of(foretold));
    if (!prediction->known) {
        add_string(&dict, "missing", foretold->missing != NULL ? foretold->missing : "");
        return g_variant_builder_end(&dict);
    }
    add(&dict, "arrives_pct", g_variant_new_uint32(prediction->arrives_pct));
    add(&dict, "alone_pct", g_variant_new_uint32(prediction->alone_pct));
    add_results(&dict, prediction);
    add_range(&dict, "total_us", &prediction->total_us);
    add_range(&dict, "downtime_us", &prediction->pause_us);
    add_range(&dict, "transferred_bytes", &prediction->sent_bytes);
    add_range(&dict, "lost_us", &prediction->lost_us);
    add_range(&dict, "throttle_pct", &prediction->throttle_pct);
    add(&dict, "actions", actions_of(prediction));
    return g_variant_builder_end(&dict);
}

/* ---- the question --------------------------------------------------------------------------- */

static void
question_free(Question *question)
{
    g_bus_unwatch_name(question->sender_watch);
    g_free(question);
}

static void
answered(const MigdForetold *foretold, const GError *error, gpointer user_data)
{
    Question *question = user_data;

    if (error != NULL)
        g_dbus_method_invocation_return_gerror(question->invocation, error);
    else
        g_dbus_method_invocation_return_value(question->invocation,
                                              g_variant_new("(@a{sv})", answer_of(foretold)));
    question_free(question);
}

static void
sender_left(GDBusConnection *connection, const char *name, gpointer user_data)
{
    Question *question = user_data;

    migd_predictor_cancel(question->predictor, question->id);
    g_dbus_method_invocation_return_error(question->invocation, MIGD_ERROR, MIGD_ERROR_FAILED,
                                          "its sender has left");
    question_free(question);
}

static gboolean
read_request(MigdBus *bus, const MigdManagedDomain *domain, GVariant *options,
             MigdPredictRequest *request, MigdProfile *profile, GError **error)
{
    const char *profile_name = NULL;
    MigdProfile scratch;
    const MigdOption rows[] = {{"destination", "s", &request->destination},
                               {"profile", "s", &profile_name},
                               {"bandwidth", "t", &request->bandwidth_bps},
                               {"seconds", "u", &request->seconds},
                               {"mode", "s", &request->mode},
                               {"max-age", "u", &request->max_age_s},
                               {"postcopy", "b", &request->postcopy}};

    migd_profile_init(&scratch);
    if (!migd_options_read(options, rows, G_N_ELEMENTS(rows), &scratch, error) ||
        (request->destination[0] != '\0' &&
         !domain->domain->backend->ops->check_destination(request->destination, NULL, error)) ||
        !migd_bus_find_profile(bus, domain, profile_name, profile, error) ||
        !migd_options_read(options, rows, G_N_ELEMENTS(rows), profile, error))
        return FALSE;
    if (request->seconds < 1 || request->seconds > MAX_SECONDS) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT, "option \"seconds\": 1 to %d",
                    MAX_SECONDS);
        return FALSE;
    }
    return TRUE;
}

void
migd_bus_predict(MigdBus *bus, GDBusMethodInvocation *invocation, GVariant *parameters)
{
    g_autoptr(GVariant) options = g_variant_get_child_value(parameters, 1);
    MigdPredictor *predictor = migd_manager_predictor(bus->manager);
    MigdProfile profile;
    MigdPredictRequest request = {.destination = "",
                                  .profile = &profile,
                                  .seconds = SECONDS,
                                  .mode = "page-sampling",
                                  .max_age_s = MAX_AGE_S};
    const char *sender = g_dbus_method_invocation_get_sender(invocation), *name;
    MigdManagedDomain *domain;
    GError *error = NULL;
    Question *question;

    g_variant_get_child(parameters, 0, "&s", &name);
    domain = migd_manager_find_domain(bus->manager, name, &error);
    if (domain == NULL || !read_request(bus, domain, options, &request, &profile, &error)) {
        g_dbus_method_invocation_take_error(invocation, error);
        return;
    }
    question = g_new0(Question, 1);
    *question = (Question){.bus = bus, .invocation = invocation, .predictor = predictor};
    question->id = migd_predictor_ask(predictor, domain->uuid, &request, answered, question);
    if (sender != NULL)
        question->sender_watch =
            g_bus_watch_name_on_connection(bus->connection, sender, G_BUS_NAME_WATCHER_FLAGS_NONE,
                                           NULL, sender_left, question, NULL);
}

/* ---- the past ------------------------------------------------------------------------------- */

static GVariant *
past_of(const MigdPast *past)
{
    Dict dict;

    g_variant_builder_init(&dict, G_VARIANT_TYPE_VARDICT);
    for (guint i = 0; i < migd_n_past_fields; i++) {
        const MigdPastField *row = &migd_past_fields[i];
        gconstpointer field = (const char *)past + row->offset;

        if (row->type == MIGD_PAST_TEXT)
            add_string(&dict, row->name, *(char *const *)field);
        else if (row->type == MIGD_PAST_U64)
            add_u64(&dict, row->name, *(const guint64 *)field);
        else if (((const MigdRange *)field)->high != 0)
            add_range(&dict, row->name, field);
    }
    return g_variant_builder_end(&dict);
}

void
migd_bus_list_history(MigdBus *bus, GDBusMethodInvocation *invocation, GVariant *parameters)
{
    g_autoptr(GVariant) options = g_variant_get_child_value(parameters, 0);
    const MigdHistory *history = migd_predictor_history(migd_manager_predictor(bus->manager));
    const GPtrArray *list = migd_history_list(history);
    const char *domain = NULL;
    const MigdOption rows[] = {{"domain", "s", &domain}};
    GVariantBuilder dicts;
    GError *error = NULL;

    if (!migd_options_read(options, rows, G_N_ELEMENTS(rows), NULL, &error)) {
        g_dbus_method_invocation_take_error(invocation, error);
        return;
    }
    g_variant_builder_init(&dicts, G_VARIANT_TYPE("aa{sv}"));
    for (guint i = 0; i < list->len; i++) {
        const MigdPast *past = list->pdata[i];

        if (domain == NULL || g_str_equal(domain, past->domain_uuid) ||
            g_str_equal(domain, past->domain_name))
            g_variant_builder_add_value(&dicts, past_of(past));
    }
    g_dbus_method_invocation_return_value(invocation, g_variant_new("(aa{sv})", &dicts));
}
