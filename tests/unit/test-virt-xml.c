/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the edit of a domain's XML: what changes, what must not, and that it can be undone; also
 * on documents that are meant to deceive a scanner.
 */
#include "virt/xml.h"

#include <string.h>

#include "base/error.h"

#define RING "<dirty-ring state='on' size='4096'/>"

static const struct {
    const char *what, *before, *after;
} edits[] = {
    {"into <kvm>",
     "<domain type='kvm'>\n  <features>\n    <kvm>\n      <hidden state='on'/>\n    </kvm>\n  </features>\n</domain>\n",
     "<domain type='kvm'>\n  <features>\n    <kvm>\n      <hidden state='on'/>\n      " RING
     "\n    </kvm>\n  </features>\n</domain>\n"},
    {"into <features>",
     "<domain type='kvm'>\n  <features>\n    <acpi/>\n    <apic/>\n  </features>\n</domain>\n",
     "<domain type='kvm'>\n  <features>\n    <acpi/>\n    <apic/>\n    <kvm>\n      " RING
     "\n    </kvm>\n  </features>\n</domain>\n"},
    {"into the domain", "<domain type='kvm'>\n  <name>x</name>\n</domain>\n",
     "<domain type='kvm'>\n  <name>x</name>\n  <features>\n    <kvm>\n      " RING
     "\n    </kvm>\n  </features>\n</domain>\n"},
    {"behind what looks like it",
     "<?xml version='1.0'?>\n<!-- <domain><features><kvm><dirty-ring state='on' size='1024'/> -->\n"
     "<domain type='kvm' note='</domain>'>\n"
     "  <metadata><features><kvm><dirty-ring state='on' size='2048'/></kvm></features></metadata>\n"
     "  <description><![CDATA[<features><kvm></kvm></features>]]></description>\n"
     "  <features>\n    <acpi/>\n  </features>\n</domain>\n",
     "<?xml version='1.0'?>\n<!-- <domain><features><kvm><dirty-ring state='on' size='1024'/> -->\n"
     "<domain type='kvm' note='</domain>'>\n"
     "  <metadata><features><kvm><dirty-ring state='on' size='2048'/></kvm></features></metadata>\n"
     "  <description><![CDATA[<features><kvm></kvm></features>]]></description>\n"
     "  <features>\n    <acpi/>\n    <kvm>\n      " RING
     "\n    </kvm>\n  </features>\n</domain>\n"},
};

static char *
set(const char *xml, guint32 entries)
{
    g_autoptr(GError) error = NULL;
    char *edited = migd_virt_xml_set_ring(xml, entries, &error);

    g_assert_no_error(error);
    return edited;
}

static void
test_edits(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(edits); i++) {
        g_autofree char *on = set(edits[i].before, 4096);
        g_autofree char *other = set(on, 65536);
        g_autofree char *back = set(other, 4096);
        g_autofree char *off = set(on, 0);
        g_autofree char *nothing = set(edits[i].before, 0);

        g_test_message("%s", edits[i].what);
        g_assert_cmpuint(migd_virt_xml_ring(edits[i].before), ==, 0);
        g_assert_cmpstr(on, ==, edits[i].after);
        g_assert_cmpuint(migd_virt_xml_ring(on), ==, 4096);
        g_assert_cmpuint(migd_virt_xml_ring(other), ==, 65536);
        g_assert_cmpstr(back, ==, on);
        g_assert_cmpstr(off, ==, edits[i].before); /* undone to the byte */
        g_assert_cmpstr(nothing, ==, edits[i].before);
    }
}

/* One that is there but off, or oddly written. */
static void
test_replaces(void)
{
    static const char *const forms[] = {
        "<dirty-ring state='off'/>",
        "<dirty-ring state=\"off\" size=\"1024\"/>",
        "<dirty-ring\n  size='1024'\n  state='off'></dirty-ring>",
        "<dirty-ring state='on' size='many'/>",
        "<dirty-ring note='state=&apos;on&apos; size=4096 >' state='off'/>",
    };

    for (guint i = 0; i < G_N_ELEMENTS(forms); i++) {
        g_autofree char *xml = g_strdup_printf(
            "<domain><features><kvm><hidden state='on'/>%s</kvm></features></domain>", forms[i]);
        g_autofree char *on = set(xml, 2048);

        g_assert_cmpuint(migd_virt_xml_ring(xml), ==, 0);
        g_assert_cmpstr(
            on, ==,
            "<domain><features><kvm><hidden state='on'/><dirty-ring state='on' size='2048'/>"
            "</kvm></features></domain>");
    }
}

static void
test_empty_parents(void)
{
    g_autofree char *features = set("<domain>\n  <features/>\n</domain>", 4096);
    g_autofree char *kvm =
        set("<domain>\n  <features>\n    <acpi/>\n    <kvm/>\n  </features>\n</domain>", 4096);

    g_assert_cmpuint(migd_virt_xml_ring(features), ==, 4096);
    g_assert_cmpuint(migd_virt_xml_ring(kvm), ==, 4096);
    g_assert_nonnull(strstr(kvm, "<acpi/>"));
}

static void
test_no_domain(void)
{
    static const char *const bad[] = {
        "",
        "<",
        "<domain",
        "<domain>",
        "</domain>",
        "<domain/>",
        "<network></network>",
        "<domain></domain",
        "<domain><features></domain",
        "<!-- ",
        "<![CDATA[",
        "<?",
        "<a><domain></domain></a>",
        "<domain a='>",
    };

    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(migd_virt_xml_set_ring(bad[i], 4096, &error));
        g_assert_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT);
        g_assert_cmpuint(migd_virt_xml_ring(bad[i]), ==, 0);
    }
}

/* Every prefix of a document, and every one with a byte changed, is survived; what is taken for a
 * domain then still has the ring that was set. */
static void
test_damage(void)
{
    const char *xml = edits[3].after;
    static const char bytes[] = "<>/'\"= !-x";

    for (gsize i = 0; i < strlen(xml); i++) {
        g_autofree char *prefix = g_strndup(xml, i);
        (void)migd_virt_xml_ring(prefix);
        for (gsize k = 0; k < sizeof bytes - 1; k++) {
            g_autofree char *damaged = g_strdup(xml);
            g_autofree char *edited = NULL;

            damaged[i] = bytes[k];
            edited = migd_virt_xml_set_ring(damaged, 8192, NULL);
            if (edited != NULL)
                g_assert_cmpuint(migd_virt_xml_ring(edited), ==, 8192);
        }
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/xml/edits", test_edits);
    g_test_add_func("/xml/replaces", test_replaces);
    g_test_add_func("/xml/empty-parents", test_empty_parents);
    g_test_add_func("/xml/no-domain", test_no_domain);
    g_test_add_func("/xml/damage", test_damage);
    return g_test_run();
}
