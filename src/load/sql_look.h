/* sql_look: the functions behind the rows of sql_classify.c's table. */
#ifndef PHASEGATE_LOAD_SQL_LOOK_H
#define PHASEGATE_LOAD_SQL_LOOK_H

#include "load/sql_work.h"

void job_kind(struct job *j, const char *kind); /* static, or in the arena */

void look_create_table(struct job *j);
void look_create_table_as(struct job *j);
void look_reindex(struct job *j);
void look_create_view(struct job *j);
void look_refresh(struct job *j);
void look_create_sequence(struct job *j);
void look_create_type(struct job *j);
void look_alter_enum(struct job *j);
void look_alter_domain(struct job *j);
void look_create_schema(struct job *j);
void look_create_function(struct job *j);
void look_create_trigger(struct job *j);
void look_create_policy(struct job *j);
void look_create_rule(struct job *j);
void look_create_statistics(struct job *j);
void look_drop(struct job *j);
void look_rename_object(struct job *j);
void look_set_schema(struct job *j);
void look_alter_owner(struct job *j);
void look_comment(struct job *j);
void look_grant(struct job *j);
void look_truncate(struct job *j);
void look_cluster(struct job *j);
void look_vacuum(struct job *j);
void look_create_publication(struct job *j);
void look_data(struct job *j);
void look_select_rows(struct job *j);
void look_copy(struct job *j);
void look_set(struct job *j);
void look_inner(struct job *j);
void look_lock_table(struct job *j);

#endif
