{{ aggregated_emission_recount() }}
