// `untrace version`: the program's version and those of the libraries inside it.
#include "agent/commands/command.h"
#include "agent/cli/options.h"

#include "adapters/encoding/gzip.h"
#include "storage/store/store.h"
#include "transport/tls/tls.h"

#include <llhttp.h>
#include <lz4.h>
#include <stdio.h>
#include <yaml.h>
#include <yyjson.h>

// clang-format off
static const char help[] =
    "usage: untrace version\n"
    "\n"
    "Prints the versions of the program, of its store format and of the libraries\n"
    "inside it.\n";
// clang-format on

static const struct option option_rows[] = {UT_OPTION_ROWS_END};

static int run(int argc, char **argv)
{
    ut_options options = {.command_z = "version", .help_z = help, .rows = option_rows};
    if (!ut_options_read(&options, argc, argv))
        return options.code;
    (void)printf("untrace %s\n"
                 "store format %d, block format %d\n"
                 "%s\n%s\nLZ4 %s\nlibdeflate %s\nllhttp %d.%d.%d\nlibyaml %s\nyyjson %s\n",
                 UT_VERSION, UT_STORE_FORMAT_VERSION, UT_BLOCK_VERSION, ut_engine_lmdb_version(),
                 ut_tls_version(), LZ4_versionString(), ut_gzip_version(), LLHTTP_VERSION_MAJOR,
                 LLHTTP_VERSION_MINOR, LLHTTP_VERSION_PATCH, yaml_get_version_string(),
                 YYJSON_VERSION_STRING);
    return EX_OK;
}

const ut_command ut_command_version = {
    .name_z = "version",
    .run = run,
    .summary_z = "print the versions of the program and its libraries",
    .help_z = help,
    .options = option_rows,
};
