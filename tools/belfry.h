/* SPDX-License-Identifier: MIT */
/*
 * The `belfry` command: its subcommands, and what they share.
 */
#ifndef TOOLS_BELFRY_H
#define TOOLS_BELFRY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct gda_config;
struct gda_dev_qp;

/* Each returns the exit status. argv[0] is the subcommand. */
int belfry_demo(int argc, char **argv);
int belfry_bench(int argc, char **argv);
int belfry_run(int argc, char **argv);
int belfry_env(int argc, char **argv);
int belfry_devices(int argc, char **argv);
int belfry_port(int argc, char **argv);

/* Hex bytes with the name, value and meaning of each field (annotate.c). */
void annotate_wqe(FILE *out, const uint8_t *wqe);
void annotate_record(FILE *out, uint32_t word);
void annotate_register(FILE *out, uint64_t word);
void annotate_cqe(FILE *out, const uint8_t *cqe);

/* As gda_config_load, with "emu" as the default backend; and is it that? */
int belfry_config_load(struct gda_config *config);
bool belfry_on_emu(void);

/* A NIC's GUID, and its GID as text: how `belfry devices` shows them. */
enum { BELFRY_GID_BYTES = 40 };
uint64_t belfry_guid(const uint8_t gid[16]);
void belfry_gid_text(const uint8_t gid[16], char text[BELFRY_GID_BYTES]);

/* A TCP port of the loopback that is free now, for a rendezvous. */
int belfry_free_port(void);

/*
 * An empty fabric directory of its own, in path; NULL with errno set. Remove
 * it with belfry_remove_tree, which takes what is in it too.
 */
enum { BELFRY_FABRIC_BYTES = 32 };
const char *belfry_make_fabric(char path[BELFRY_FABRIC_BYTES]);
void belfry_remove_tree(const char *path);

#endif
