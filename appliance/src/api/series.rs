//! Rates over time.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::state::Params;
use super::{Api, ApiError};
use crate::series::Step;
use crate::wire::{ProblemDetails, SeriesAnswer, SeriesNames};

/// Values when nothing else is asked for: five minutes, or five hours.
const COUNT: u16 = 300;

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SeriesParams {
    /// Names, separated by commas; one that ends in `/` stands for all below it: `traffic/,service/web/packets`.
    name: String,
    /// `1s`: the last hour by second. `1m`: the last week by minute. Default: `1s`.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    step: Step,
    /// How many values, the last of all. Default: 300.
    #[serde(default)]
    count: Option<u16>,
}

/// Rates of what is counted, over time.
#[utoipa::path(
    get, path = "/v1/series", operation_id = "series", tag = "state",
    params(SeriesParams),
    responses((status = 200, body = SeriesAnswer), (status = 400, body = ProblemDetails))
)]
pub(super) async fn series(
    State(api): State<Api>,
    Params(params): Params<SeriesParams>,
) -> Result<Json<SeriesAnswer>, ApiError> {
    let names: Vec<&str> = params.name.split(',').collect();
    Ok(Json(api.series.get(&names, params.step, params.count.unwrap_or(COUNT).into())))
}

/// The names of the series that there are.
#[utoipa::path(get, path = "/v1/series/names", operation_id = "seriesNames", tag = "state", responses((status = 200, body = SeriesNames)))]
pub(super) async fn names(State(api): State<Api>) -> Json<SeriesNames> {
    Json(SeriesNames { names: api.series.names() })
}
